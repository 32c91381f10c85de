// Automatic labels of a campaign's rounds: opened here with the batch for people, decided about when that closes
// (auto-decision.ts). Lock order: run, batch, automatic batches in the order of their ids, labels.
import { sql } from 'drizzle-orm';
import { type AutoPlan, type AutoRules, mostTries } from '../domain/auto-label.js';
import { json, row, rows, type Tx } from './client.js';
import { newId } from './id.js';

export { autoBatches, withdrawnFrom, type AutoBatchView, type Withdrawn } from './auto-view.js';
export { lockRunsOfAuto, settleAuto, voidAuto } from './auto-decision.js';

/** What a run of a campaign with automatic labels needs to know of it. */
export interface AutoRound {
  campaign: string;
  round: number;
  rules: AutoRules;
  /** Of the batch that it may open. */
  number: number;
}

/** Null: the run is no round of a campaign, or that labels nothing alone. */
export function autoRound(tx: Tx, run: string): Promise<AutoRound | null> {
  return row<AutoRound>(
    tx,
    sql`select o.campaign, o.round, c.settings -> 'auto' as rules,
        1 + (select count(*)::int from auto_batch a where a.campaign = o.campaign and a.tested) as number
      from campaign_round o join campaign c on c.id = o.campaign
      where o.run = ${run} and jsonb_typeof(c.settings -> 'auto') = 'object'`,
  );
}

export interface DueAudit {
  autoBatch: string;
  key: string;
  label: string;
  confidence: number;
}

/**
 * Labels that stand and that people are still to check, the oldest batch first, each in the order that was drawn. Those
 * that people have labelled since, on whatever occasion, are checked (auto-decision.ts).
 */
export function dueAudits(tx: Tx, campaign: string): Promise<DueAudit[]> {
  return rows<DueAudit>(
    tx,
    sql`select l.auto_batch as "autoBatch", l.key, l.label, l.confidence
      from auto_batch a join auto_label l on l.auto_batch = a.id
      where a.campaign = ${campaign} and a.status = 'standing'
        and l.audit is not null and l.answer is null and l.asked is null and l.tries < ${mostTries}
        and not exists (select 1 from label h where h.dataset = a.dataset and h.key = l.key and h.source = 'human')
      order by a.round, l.audit limit ${mostDue}`,
  );
}

/** Rows whose automatic label people disproved, with those around it: in this campaign they are theirs to label. */
export async function revokedKeys(tx: Tx, campaign: string): Promise<Set<string>> {
  const found = await rows<{ key: string }>(
    tx,
    sql`select l.key from auto_batch a join auto_label l on l.auto_batch = a.id
      where a.campaign = ${campaign} and a.status = 'revoked'`,
  );
  return new Set(found.map(({ key }) => key));
}

/** Due audits that are looked at for one batch. */
const mostDue = 20_000;

/** Takes labels out of the audit whose rows are gone: the others are as good a draw from the rows that are left. */
export async function dropAudits(tx: Tx, gone: Pick<DueAudit, 'autoBatch' | 'key'>[]): Promise<void> {
  await rows(
    tx,
    sql`update auto_label l set audit = null from jsonb_to_recordset(${json(gone)}) as t ("autoBatch" text, key text)
      where l.auto_batch = t."autoBatch" and l.key = t.key and l.answer is null`,
  );
}

export interface OpenAuto {
  auto: AutoRound;
  /** The round's batch for people. */
  batch: string;
  /** Id. */
  dataset: string;
  plan: AutoPlan;
  /** In the order of the plan's probabilities. */
  classes: readonly string[];
  /** Rows looked at. */
  pool: number;
  sample: number;
  covered: string[];
  /** What the batch asks to check: of this plan, and of earlier automatic batches. */
  asked: { own: string[]; earlier: Pick<DueAudit, 'autoBatch' | 'key'>[] };
}

/** Part of opening the round's batch; the same round again: nothing. */
export async function openAuto(tx: Tx, opened: OpenAuto): Promise<void> {
  const { auto, batch, plan, asked } = opened;
  const id = newId('aut');
  const first = await row(
    tx,
    sql`insert into auto_batch (id, campaign, round, batch, dataset, status, number, tested, threshold, coverage, tests,
        why, pool, sample, covered, population, audit)
      values (${id}, ${auto.campaign}, ${auto.round}, ${batch}, ${opened.dataset},
        ${plan.labels.length === 0 ? 'none' : 'landing'}, ${auto.number}, ${plan.tested}, ${plan.threshold},
        ${plan.coverage}, ${json(plan.tests)}, ${plan.why}, ${opened.pool}, ${opened.sample}, ${json(opened.covered)},
        ${plan.labels.length}, ${plan.audit.length})
      on conflict (campaign, round) do nothing returning 1`,
  );
  if (first === null) return;
  await insertLabels(tx, id, opened);
  const audits = [...asked.own.map((key) => ({ autoBatch: id, key })), ...asked.earlier];
  await rows(
    tx,
    sql`update auto_label l set asked = ${batch}, tries = tries + 1
      from jsonb_to_recordset(${json(audits)}) as t ("autoBatch" text, key text)
      where l.auto_batch = t."autoBatch" and l.key = t.key`,
  );
}

/** Labels of one statement; there may be hundreds of thousands. */
const insertedAtOnce = 20_000;

async function insertLabels(tx: Tx, id: string, { plan, classes }: OpenAuto): Promise<void> {
  const places = new Map(plan.audit.map((key, place) => [key, place]));
  for (let from = 0; from < plan.labels.length; from += insertedAtOnce) {
    const some = plan.labels.slice(from, from + insertedAtOnce).map(({ key, label, confidence }) => ({
      ...{ key, label: classes[label] ?? '', confidence },
      audit: places.get(key) ?? null,
    }));
    await rows(
      tx,
      sql`insert into auto_label (auto_batch, key, label, confidence, audit)
        select ${id}, key, label, confidence, audit
        from jsonb_to_recordset(${json(some)}) as t (key text, label text, confidence float8, audit int)`,
    );
  }
}

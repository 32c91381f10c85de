// When a round's batch closes, people's answers judge automatic labels: those of the round land or do not, those of
// earlier rounds stand on or are withdrawn, and every run that saw these is told. All in the closing's transaction.
import { sql, type SQL } from 'drizzle-orm';
import { type AutoRules, type AutoStatus, type AuditVerdict, judgeAudit, mostTries } from '../domain/auto-label.js';
import type { Superseded } from '../domain/dataset.js';
import type { AuditEntry } from './audit.js';
import { json, mustRow, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';

interface HeldAuto {
  id: string;
  campaign: string;
  project: string;
  round: number;
  status: AutoStatus;
  batch: string;
  dataset: string;
  population: number;
  rules: AutoRules;
}

/**
 * Locks the batch's run and those that are told if labels are withdrawn when it closes, in order. Before the batch is
 * locked: runs come first.
 */
export async function lockRunsOfAuto(tx: Tx, run: string, batch: string): Promise<void> {
  const saw = runsThatSaw(sql`a.campaign in (select campaign from auto_batch where batch = ${batch})
    and a.status in ('landing', 'standing')`);
  await rows(tx, sql`select 1 from run where id = ${run} or id in (${saw}) order by id for no key update`);
}

/**
 * Judges what the batch's people checked, and what others labelled since. Part of closing it, when its labels are those of
 * the dataset already: a label of people is never replaced here. Gives what is to be written to the audit at the end.
 */
export async function settleAuto(tx: Tx, batch: string): Promise<AuditEntry[]> {
  const held = await rows<HeldAuto>(
    tx,
    sql`select a.id, a.campaign, c.project, a.round, a.status, a.batch, a.dataset, a.population,
        c.settings -> 'auto' as rules
      from auto_batch a join campaign c on c.id = a.campaign
      where a.status in ('landing', 'standing')
        and (a.batch = ${batch} or a.id in (select auto_batch from auto_label where asked = ${batch})
          or a.status = 'standing' and a.campaign in (select campaign from auto_batch where batch = ${batch}))
      order by a.id for update of a`,
  );
  if (held.length === 0) return [];
  await takeAnswers(tx, batch);
  await takeLabels(
    tx,
    held.map(({ id }) => id),
  );
  const entries: AuditEntry[] = [];
  for (const one of held) entries.push(...(await judge(tx, one)));
  return entries;
}

/** The batch was cancelled: its own labels come to nothing, and what it was to check is asked again. */
export async function voidAuto(tx: Tx, batch: SQL): Promise<void> {
  await rows(
    tx,
    sql`update auto_batch set status = 'void', decided_at = clock_timestamp()
      where batch in (${batch}) and status in ('none', 'landing')`,
  );
  await rows(tx, sql`update auto_label set asked = null, tries = tries - 1 where asked in (${batch})`);
}

async function takeAnswers(tx: Tx, batch: string): Promise<void> {
  await rows(
    tx,
    sql`update auto_label l set answer = t.label, asked = case when t.status = 'labelled' then l.asked end
      from label_task t where l.asked = ${batch} and t.batch = ${batch} and t.reason = 'audit' and t.key = l.key`,
  );
}

/** What people said on another occasion is as good an answer. */
async function takeLabels(tx: Tx, held: string[]): Promise<void> {
  await rows(
    tx,
    sql`update auto_label l set answer = h.label from auto_batch a, label h
      where l.auto_batch in (select jsonb_array_elements_text(${json(held)})) and l.audit is not null and l.answer is null
        and a.id = l.auto_batch and h.dataset = a.dataset and h.key = l.key and h.source = 'human'`,
  );
}

/** What people left as often as they were asked: they leave what is hard, and to count only the rest would flatter the model. */
const isLeft = sql`(answer is null and asked is null and tries >= ${mostTries})`;

async function judge(tx: Tx, held: HeldAuto): Promise<AuditEntry[]> {
  const counts = await mustRow<{ audited: number; errors: number }>(
    tx,
    sql`select (count(*) filter (where answer is not null or ${isLeft}))::int as audited,
        (count(*) filter (where answer <> label or ${isLeft}))::int as errors
      from auto_label where auto_batch = ${held.id} and audit is not null`,
  );
  const verdict = judgeAudit({ ...counts, population: held.population }, held.rules);
  const status = verdict.revoked ? 'revoked' : 'standing';
  await rows(
    tx,
    sql`update auto_batch set status = ${status}, audited = ${counts.audited}, errors = ${counts.errors},
        lo = ${verdict.lo}, hi = ${verdict.hi},
        decided_at = case when status = ${status} then decided_at else clock_timestamp() end where id = ${held.id}`,
  );
  if (verdict.revoked) return [await withdraw(tx, held, { ...counts, ...verdict })];
  if (held.status === 'landing') await land(tx, held);
  return [];
}

async function land(tx: Tx, { id, dataset, batch }: HeldAuto): Promise<void> {
  await bySlices(tx, id, (slice) =>
    rows(
      tx,
      sql`insert into label (dataset, key, label, source, annotators, batch)
        select ${dataset}, a.key, a.label, 'auto', '[]', ${batch} from auto_label a
        where ${slice} and a.answer is null order by a.key
        on conflict (dataset, key) do nothing`,
    ),
  );
}

/** Labels of one statement, which must end within some seconds. */
const labelsAtOnce = 20_000;

/** Calls `each` with a condition on `auto_label a` for one slice of the batch's labels after the other. */
async function bySlices(tx: Tx, id: string, each: (slice: SQL) => Promise<unknown>): Promise<void> {
  let before = sql`true`;
  for (;;) {
    const { last } = await mustRow<{ last: string | null }>(
      tx,
      sql`select max(key) as last from (
        select a.key from auto_label a where a.auto_batch = ${id} and ${before} order by a.key limit ${labelsAtOnce}) slice`,
    );
    if (last === null) return;
    await each(sql`a.auto_batch = ${id} and ${before} and a.key <= ${last}`);
    before = sql`a.key > ${last}`;
  }
}

type Evidence = AuditVerdict & { audited: number; errors: number };

async function withdraw(tx: Tx, held: HeldAuto, evidence: Evidence): Promise<AuditEntry> {
  const { id, campaign, project, round, dataset, batch } = held;
  const { audited, errors, lo } = evidence;
  const least = (100 * lo).toFixed(1);
  const promised = (100 * held.rules.maxError).toFixed(1);
  const reason = `${errors} of ${audited} checked labels are wrong: at least ${least} % of all, ${promised} % are promised at most`;
  await rows(tx, sql`update auto_batch set why = ${reason} where id = ${id}`);
  await bySlices(tx, id, (slice) =>
    rows(
      tx,
      sql`delete from label l using auto_label a
        where ${slice} and l.dataset = ${dataset} and l.key = a.key and l.batch = ${batch} and l.source = 'auto'`,
    ),
  );
  const superseded: Superseded = { at: new Date().toISOString(), reason, autoBatch: id, campaign };
  const versions = await rows<{ digest: string }>(
    tx,
    sql`update dataset_version set superseded = coalesce(superseded, ${json(superseded)})
      where dataset = ${dataset} and auto_batches ? ${batch} returning digest`,
  );
  const runs = await rows<{ run: string }>(
    tx,
    sql`select run from (${runsThatSaw(sql`a.id = ${id}`)}) as s (run) order by run`,
  ).then((found) => found.map(({ run }) => run));
  const data = { autoBatch: id, campaign, round, reason };
  for (const run of runs) await appendEvent(tx, { run, type: 'labels.revoked', data });
  return {
    ...{ project, actor: 'perennial', verified: true, action: 'labels.revoked', subject: id },
    details: { ...data, audited, errors, lo, hi: evidence.hi, versions: versions.length, runs },
  };
}

/** A query: runs whose data had labels of the automatic batches `a` that fit. */
const runsThatSaw = (fits: SQL) => sql`select distinct s.run from auto_batch a
  join dataset_version v on v.dataset = a.dataset and v.auto_batches ? a.batch
  join run r on r.dataset = v.dataset
  join step s on s.run = r.id and s.result ->> 'dataset' = v.digest
  where ${fits}`;

// People who label: what they can do, and what they were given and got right in a batch.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { isFit, type LabelPolicy, unfitness } from '../domain/label-policy.js';
import { iso, json, mustRow, preparedRow, row, rows, type Tx } from './client.js';
import { lockedBatch, type LockedBatch, sharedBatch, type StoredBatch } from './labeling-batch.js';

export interface Labeler {
  name: string;
  skills: string[];
  languages: string[];
}

/** What a labeler can do; nothing special for who is not listed. */
export async function labelerOf(tx: Tx, project: string, name: string): Promise<Labeler> {
  const found = await row<Labeler>(
    tx,
    sql`select name, skills, languages from labeler where project = ${project} and name = ${name}`,
  );
  return found ?? { name, skills: [], languages: [] };
}

/** Writes what a labeler can do, over what was written before. */
export async function saveLabeler(tx: Tx, project: string, { name, skills, languages }: Labeler): Promise<void> {
  await rows(
    tx,
    sql`insert into labeler (project, name, skills, languages)
      values (${project}, ${name}, ${json(skills)}, ${json(languages)})
      on conflict (project, name) do update set skills = excluded.skills, languages = excluded.languages`,
  );
}

interface HeldLabeler {
  /** Items given so far. */
  served: number;
  paused: boolean;
  right: number;
  answered: number;
}

/**
 * Locks the batch, shared with other people, and the labeler's row in it: two leases of one person take turns.
 * @throws Failure `NotFound`, `BatchClosed`, `LabelerUnfit`, `LabelerPaused`
 */
export async function holdLabeler(
  tx: Tx,
  of: { project: string; batch: string; labeler: string },
): Promise<{ batch: LockedBatch; served: number }> {
  const { labeler: name } = of;
  const found = await preparedRow<StoredBatch & { held: HeldLabeler | null }>(
    tx,
    sql`with b as (${sharedBatch(of)}),
      w as (select ${heldColumns} from batch_labeler w join b on b.id = w.batch where w.labeler = ${name} for update of w)
      select b.*, (select to_jsonb(w) from w) as held from b`,
  );
  const batch = lockedBatch(of.batch, found);
  if (batch.closed) throw new Failure('BatchClosed', `the batch ${batch.id} takes no more answers`);
  await requireFit(tx, of.project, batch.policy, name);
  const held = found?.held ?? (await firstHold(tx, batch.id, name));
  if (!held.paused) return { batch, served: held.served };
  const score = `${held.right} of ${held.answered} test items right, ${batch.policy.gold.minScore} is needed`;
  throw new Failure('LabelerPaused', `${name}: ${score}`, { members: { labeler: name } });
}

const heldColumns = sql`w.served, w.paused_at is not null as paused, w.gold_right as "right", w.gold_answered as answered`;

async function requireFit(tx: Tx, project: string, policy: LabelPolicy, name: string): Promise<void> {
  const { skills, languages } = policy.requires;
  const lacking = skills.length + languages.length > 0 && unfitness(policy, await labelerOf(tx, project, name));
  if (lacking) throw new Failure('LabelerUnfit', `${name} does not have ${lacking}`);
}

async function firstHold(tx: Tx, batch: string, name: string): Promise<HeldLabeler> {
  await rows(tx, sql`insert into batch_labeler (batch, labeler) values (${batch}, ${name}) on conflict do nothing`);
  return mustRow(
    tx,
    sql`select ${heldColumns} from batch_labeler w where w.batch = ${batch} and w.labeler = ${name} for update`,
  );
}

export interface GoldScore {
  right: number;
  answered: number;
}

/** Counts answers to gold items. Who falls below the floor is paused, and what they hold goes to others. */
export async function scoreGold(
  tx: Tx,
  batch: LockedBatch,
  labeler: string,
  { right, answered }: GoldScore,
): Promise<GoldScore> {
  const person = sql`batch = ${batch.id} and labeler = ${labeler}`;
  const score = await mustRow<GoldScore>(
    tx,
    sql`update batch_labeler set gold_answered = gold_answered + ${answered}, gold_right = gold_right + ${right}
      where ${person} returning gold_answered as answered, gold_right as "right"`,
  );
  if (isFit(batch.policy, score.answered, score.right)) return score;
  await rows(tx, sql`update batch_labeler set paused_at = clock_timestamp() where ${person} and paused_at is null`);
  await rows(tx, sql`delete from lease where ${person}`);
  return score;
}

export interface BatchLabeler {
  labeler: string;
  /** Items given. */
  served: number;
  /** Answers that count or are kept, skips not among them. */
  answered: number;
  skipped: number;
  gold: { answered: number; right: number };
  /** Median of a task; null before the first answer. */
  seconds: number | null;
  /** Share of this person's answers that are the label now; null where none has one. */
  agreement: number | null;
  /** Null: goes on. */
  pausedAt: string | null;
}

/** Everybody who was given something in a batch, by name. */
export function batchLabelers(tx: Tx, batch: string): Promise<BatchLabeler[]> {
  return labelersOf(tx, [batch]);
}

/** Everybody who was given something in these batches, by name; paused: in one of them. */
export async function labelersOf(tx: Tx, batches: readonly string[]): Promise<BatchLabeler[]> {
  const these = sql`(select jsonb_array_elements_text(${json(batches)}))`;
  const found = await rows<BatchLabeler>(
    tx,
    sql`select w.labeler, w.served, w."pausedAt", w.gold,
        coalesce(a.answered, 0) as answered, coalesce(a.skipped, 0) as skipped, a.seconds, a.agreement
      from (
        select labeler, sum(served)::int as served, max(paused_at) as "pausedAt",
          jsonb_build_object('answered', sum(gold_answered), 'right', sum(gold_right)) as gold
        from batch_labeler where batch in ${these} group by labeler
      ) w left join (
        select n.annotator, count(n.label)::int as answered, count(*) filter (where n.label is null)::int as skipped,
          percentile_cont(0.5) within group (order by n.seconds) as seconds,
          avg((n.label = t.label)::int::float8) filter (where t.label is not null and n.label is not null) as agreement
        from annotation n join label_task t on t.id = n.task where t.batch in ${these} group by n.annotator
      ) a on a.annotator = w.labeler
      order by w.labeler collate "C"`,
  );
  return found.map((one) => ({ ...one, pausedAt: iso(one.pausedAt) }));
}

// People who label: what they can do, and what they were given and got right in a batch.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { unfitness } from '../domain/label-policy.js';
import { iso, json, mustRow, row, rows, type Tx } from './client.js';
import type { LockedBatch } from './labeling-batch.js';

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

export interface HeldLabeler {
  served: number;
  goldServed: number;
}

/**
 * Locks the labeler's row in the batch: two leases of one person take turns.
 * @throws Failure `LabelerUnfit`, `LabelerPaused`
 */
export async function holdLabeler(
  tx: Tx,
  project: string,
  { id, policy }: LockedBatch,
  name: string,
): Promise<HeldLabeler> {
  const { skills, languages } = policy.requires;
  const lacking = skills.length + languages.length > 0 && unfitness(policy, await labelerOf(tx, project, name));
  if (lacking) throw new Failure('LabelerUnfit', `${name} does not have ${lacking}`);
  await rows(tx, sql`insert into batch_labeler (batch, labeler) values (${id}, ${name}) on conflict do nothing`);
  const held = await mustRow<HeldLabeler & { paused: boolean; right: number; answered: number }>(
    tx,
    sql`select served, gold_served as "goldServed", paused_at is not null as paused, gold_right as "right",
        gold_answered as answered
      from batch_labeler where batch = ${id} and labeler = ${name} for update`,
  );
  if (!held.paused) return held;
  const found = `${held.right} of ${held.answered} test items right, ${policy.gold.minScore} is needed`;
  throw new Failure('LabelerPaused', `${name}: ${found}`, { members: { labeler: name } });
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

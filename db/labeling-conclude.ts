// What the answers of a task come to once enough are there.
import { sql, type SQL } from 'drizzle-orm';
import { accuracyOf, consensusOf, wantedAfter } from '../domain/consensus.js';
import { choicesOf } from '../domain/label-kind.js';
import type { TaskStatus } from '../domain/labeling.js';
import { anyOf, json, rows, type Tx } from './client.js';
import type { LockedBatch } from './labeling-batch.js';

/** An answer that counts, with how its giver did on gold items. */
export interface CountedAnswer {
  fence: number;
  label: string;
  right: number;
  answered: number;
}

/** An open task with the answers above its floor. */
export interface AnsweredTask {
  id: string;
  wanted: number;
  /** Answers that count; a skip may be one. */
  answered: number;
  /** Skips after which somebody else is asked. */
  skips: number;
  counted: CountedAnswer[];
}

export interface Concluded {
  id: string;
  status: TaskStatus;
  wanted: number;
  answered: number;
  label: string | null;
  confidence: number | null;
}

/** Of the answers `a` to the task `t`: what `AnsweredTask` has of them. */
export const answersSoFar = sql`count(*) filter (where a.outcome = 'skipped')::int as skips,
  coalesce(jsonb_agg(jsonb_build_object('fence', a.fence, 'label', a.label, 'right', coalesce(w.gold_right, 0),
    'answered', coalesce(w.gold_answered, 0))) filter (where a.label is not null and a.outcome = 'accepted'), '[]') as counted`;

/** Counts the answers of the tasks anew, and says what those with enough of them come to; gold items are left out. */
export async function concludeTasks(tx: Tx, batch: LockedBatch, ids: string[]): Promise<void> {
  const found = await rows<AnsweredTask>(
    tx,
    sql`select t.id, t.wanted, count(*) filter (where a.outcome = 'accepted')::int as answered, ${answersSoFar}
      from label_task t join annotation a on a.task = t.id and a.fence > t.floor
        left join batch_labeler w on w.batch = t.batch and w.labeler = a.annotator
      where t.id = ${anyOf(ids)} and t.status = 'open' and t.gold is null group by t.id`,
  );
  await rows(tx, writeConcluded(found.map((task) => conclude(batch, task))));
}

/** A statement. */
export function writeConcluded(concluded: Concluded[]): SQL {
  return sql`update label_task t set status = c.status, wanted = c.wanted, answered = c.answered, label = c.label,
      confidence = c.confidence, annotated_at = clock_timestamp()
    from jsonb_to_recordset(${json(concluded)})
      as c (id text, status text, wanted int, answered int, label text, confidence float8)
    where t.id = c.id`;
}

export function conclude({ kind, classes, policy }: LockedBatch, task: AnsweredTask): Concluded {
  const { id, wanted, answered, skips } = task;
  const open: Concluded = { id, status: 'open', wanted, answered, label: null, confidence: null };
  if (answered < wanted) return skips >= policy.skip.most ? { ...open, status: 'skipped' } : open;
  const answers = [...task.counted]
    .sort((a, b) => a.fence - b.fence)
    .map((one) => ({ label: one.label, accuracy: accuracyOf(one.right, one.answered) }));
  if (answers.length === 0) return { ...open, status: 'skipped' };
  const found = consensusOf(kind, answers, choicesOf(kind, classes));
  const more = wantedAfter(policy.overlap, wanted, found);
  if (more > wanted) return { ...open, wanted: more };
  return { ...open, status: 'labelled', label: found.label, confidence: found.confidence };
}

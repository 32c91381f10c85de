// Answers that an import brings: they stand beside those given here, and count like them.
import { sql } from 'drizzle-orm';
import type { Json } from '../domain/json.js';
import { json, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { concludeTasks } from './labeling-conclude.js';
import { lockBatch, settleBatch, type LockedBatch } from './labeling-batch.js';

export interface GivenAnswer {
  annotator: string;
  /** As `labelText` made it; null: skipped. */
  label: string | null;
  seconds: number | null;
  comment: string | null;
  /** ISO time; null: now. */
  at?: string | null;
  /** As the import brought it. */
  source: Json;
}

interface AnsweredTask {
  id: string;
  answers: GivenAnswer[];
}

/** Answers of one statement. */
const insertedAtOnce = 5_000;

/**
 * Writes the answers of new tasks and says what they come to. The answers have the fences from 1 on; all of different
 * people count, and where there are more of them than the policy asks for, so many are wanted.
 */
export async function insertAnswers(tx: Tx, of: { id: string; project: string }, tasks: AnsweredTask[]): Promise<void> {
  const answered = tasks.filter(({ answers }) => answers.length > 0);
  if (answered.length === 0) return;
  const batch = await lockBatch(tx, of.project, of.id);
  for (let from = 0; from < answered.length; from += insertedAtOnce) {
    const some = answered.slice(from, from + insertedAtOnce);
    const written = some.map((task) => ({ ...task, answers: outcomes(task.answers, batch) }));
    await writeAnswers(tx, written);
    await concludeTasks(
      tx,
      batch,
      some.map(({ id }) => id),
    );
  }
  await settleBatch(tx, batch.id);
}

type JudgedAnswer = GivenAnswer & { fence: number; outcome: 'accepted' | 'surplus' | 'skipped' };

/** One answer a person; a skip counts where the policy asks nobody else then. */
function outcomes(answers: readonly GivenAnswer[], { policy }: LockedBatch): JudgedAnswer[] {
  const counted = new Set<string>();
  return answers.map((answer, index) => {
    const fence = index + 1;
    if (answer.label === null && policy.skip.to !== 'nobody') return { ...answer, fence, outcome: 'skipped' };
    if (counted.has(answer.annotator)) return { ...answer, fence, outcome: 'surplus' };
    counted.add(answer.annotator);
    return { ...answer, fence, outcome: 'accepted' };
  });
}

async function writeAnswers(tx: Tx, tasks: { id: string; answers: JudgedAnswer[] }[]): Promise<void> {
  const answers = tasks.flatMap(({ id: task, answers }) => answers.map((one) => ({ id: newId('ann'), task, ...one })));
  await rows(
    tx,
    sql`insert into annotation (id, task, annotator, fence, round, label, outcome, seconds, comment, source,
        created_at)
      select id, task, annotator, fence, 1, label, outcome, seconds, comment, nullif(source, 'null'),
        coalesce(at, clock_timestamp())
      from jsonb_to_recordset(${json(answers)}) as a (id text, task text, annotator text, fence int, label text,
        outcome text, seconds float8, comment text, source jsonb, at timestamptz)`,
  );
  const asked = tasks.map(({ id, answers }) => ({
    id,
    fence: answers.length,
    accepted: answers.filter(({ outcome }) => outcome === 'accepted').length,
  }));
  await rows(
    tx,
    sql`update label_task t set fence = a.fence, wanted = greatest(t.wanted, a.accepted)
      from jsonb_to_recordset(${json(asked)}) as a (id text, fence int, accepted int) where t.id = a.id`,
  );
}

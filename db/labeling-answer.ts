// Answers to label tasks (architecture, rule 6): which count, which are kept beside one that counts, which are refused.
import { sql } from 'drizzle-orm';
import type { Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { Answer, BatchStatus, Refusal, TaskStatus } from '../domain/labeling.js';
import { atomically, json, row, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';

export interface AnnotateRequest {
  project: string;
  batch: string;
  labeler: string;
  answers: Answer[];
}

export interface AnnotateResult {
  /** Answers that count. */
  accepted: number;
  /** Answers kept beside one that counts. */
  surplus: number;
  refused: { taskId: string; reason: Refusal }[];
}

/**
 * Takes answers. The same answer again counts the same and writes nothing, unless it was sent back; another answer under
 * the same fence is `stale-fence`. After the last open task the batch goes to `review`. A closed batch refuses each new
 * answer with `batch-closed`.
 * @throws Failure `NotFound`
 */
export async function annotate(tx: Tx, request: AnnotateRequest): Promise<AnnotateResult> {
  return atomically(tx, async (inner) => {
    // not FOR SHARE: the last answer changes the status, and two that hold a share would wait for each other
    const batch = await lockBatch(inner, request.project, request.batch, 'no key update');
    const tasks = await lockTasks(inner, request);
    const result: AnnotateResult = { accepted: 0, surplus: 0, refused: [] };
    const taken: TakenAnswer[] = [];
    for (const answer of request.answers) {
      const judged = judge(answer, tasks.get(answer.taskId), batch, request.labeler);
      if (judged.kind === 'refused') result.refused.push({ taskId: answer.taskId, reason: judged.reason });
      else result[judged.kind] += 1;
      if (judged.kind !== 'refused' && judged.fresh) {
        taken.push(take(answer, tasks.get(answer.taskId)!, judged.kind));
      }
    }
    await writeAnswers(inner, request, batch, taken);
    return result;
  });
}

interface LockedBatch {
  workflowId: string;
  status: BatchStatus;
  /** Not open, or past its deadline. */
  closed: boolean;
  round: number;
  task: Task;
  classes: string[] | null;
}

interface LockedTask {
  status: TaskStatus;
  fence: number;
  annotator: string | null;
  /** Who holds the present fence; null: nobody. */
  holder: string | null;
  /** This labeler's answers so far, by fence. */
  given: Map<number, GivenAnswer>;
}

interface GivenAnswer {
  outcome: 'accepted' | 'surplus';
  /** Null: skipped. */
  label: string | null;
}

interface TakenAnswer {
  id: string;
  task: string;
  fence: number;
  label: string | null;
  outcome: 'accepted' | 'surplus';
}

type Judgement = { kind: 'accepted' | 'surplus'; fresh: boolean } | { kind: 'refused'; reason: Refusal };

function judge(answer: Answer, task: LockedTask | undefined, batch: LockedBatch, labeler: string): Judgement {
  if (task === undefined) return { kind: 'refused', reason: 'unknown-task' };
  const before = task.given.get(answer.fence);
  // sent back meanwhile: that answer counts no more
  if (before?.outcome === 'accepted' && answer.fence < task.fence) return { kind: 'refused', reason: 'stale-fence' };
  if (before?.label === labelIn(answer)) return { kind: before.outcome, fresh: false };
  if (batch.closed) return { kind: 'refused', reason: 'batch-closed' };
  if (!isKnown(answer, batch)) return { kind: 'refused', reason: 'unknown-label' };
  // a fence is good for one answer; whoever thinks better of it leases the task again once it is sent back
  if (before !== undefined) return { kind: 'refused', reason: 'stale-fence' };
  if (task.status !== 'open') {
    const wasLeased = answer.fence >= 1 && answer.fence <= task.fence && task.annotator !== labeler;
    return wasLeased ? { kind: 'surplus', fresh: true } : { kind: 'refused', reason: 'stale-fence' };
  }
  if (answer.fence !== task.fence || task.holder !== labeler) return { kind: 'refused', reason: 'stale-fence' };
  return { kind: 'accepted', fresh: true };
}

function labelIn(answer: Answer): string | null {
  return answer.skip === true ? null : (answer.label ?? null);
}

function isKnown(answer: Answer, batch: LockedBatch): boolean {
  if (answer.skip === true) return true;
  if (answer.label === undefined || answer.label === '') return false;
  if (batch.task === 'regression') {
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(answer.label) && Number.isFinite(Number(answer.label));
  }
  return batch.classes === null || batch.classes.includes(answer.label);
}

// what is taken shows at once: the same task may be named twice in one request
function take(answer: Answer, task: LockedTask, outcome: 'accepted' | 'surplus'): TakenAnswer {
  const label = labelIn(answer);
  task.given.set(answer.fence, { outcome, label });
  if (outcome === 'accepted') task.status = label === null ? 'skipped' : 'labelled';
  return { id: newId('ann'), task: answer.taskId, fence: answer.fence, label, outcome };
}

/** Locks a batch, and says whether it takes answers. @throws Failure `NotFound` */
export async function lockBatch(
  tx: Tx,
  project: string,
  batch: string,
  strength: 'share' | 'no key update',
): Promise<LockedBatch> {
  const found = await row<LockedBatch>(
    tx,
    sql`select workflow_id as "workflowId", status, round, task, classes,
        status <> 'open' or deadline <= clock_timestamp() as closed
      from label_batch where id = ${batch} and project = ${project} for ${sql.raw(strength)}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
  return found;
}

async function lockTasks(tx: Tx, request: AnnotateRequest): Promise<Map<string, LockedTask>> {
  const ids = json(request.answers.map((answer) => answer.taskId));
  await rows(
    tx,
    sql`select 1 from label_task where batch = ${request.batch} and id in (select jsonb_array_elements_text(${ids}))
      order by position for update`,
  );
  // a statement of its own, to see the leases as they are under the locks
  const found = await rows<Omit<LockedTask, 'given'> & { id: string; given: [number, GivenAnswer][] | null }>(
    tx,
    sql`select t.id, t.status, t.fence, t.annotator, l.labeler as holder,
        (select jsonb_agg(jsonb_build_array(a.fence, jsonb_build_object('outcome', a.outcome, 'label', a.label))) from annotation a
          where a.task = t.id and a.annotator = ${request.labeler}) as given
      from label_task t left join lease l on l.task = t.id and l.fence = t.fence
      where t.batch = ${request.batch} and t.id in (select jsonb_array_elements_text(${ids}))`,
  );
  return new Map(found.map((task) => [task.id, { ...task, given: new Map(task.given ?? []) }]));
}

async function writeAnswers(tx: Tx, request: AnnotateRequest, batch: LockedBatch, taken: TakenAnswer[]): Promise<void> {
  if (taken.length === 0) return;
  const columns = sql`as a (id text, task text, fence int, label text, outcome text)`;
  await rows(
    tx,
    sql`insert into annotation (id, task, annotator, fence, round, label, outcome)
      select id, task, ${request.labeler}, fence, ${batch.round}, label, outcome
      from jsonb_to_recordset(${json(taken)}) ${columns}`,
  );
  const counting = taken.filter((answer) => answer.outcome === 'accepted');
  if (counting.length === 0) return;
  await rows(
    tx,
    sql`with answered as (
        update label_task t set status = case when a.label is null then 'skipped' else 'labelled' end, label = a.label,
          annotator = ${request.labeler}, annotated_at = clock_timestamp()
        from jsonb_to_recordset(${json(counting)}) ${columns} where t.id = a.task returning t.id
      )
      delete from lease using answered where lease.task = answered.id`,
  );
  await rows(
    tx,
    sql`update label_batch set status = 'review' where id = ${request.batch}
      and not exists (select 1 from label_task where batch = ${request.batch} and status = 'open')`,
  );
  await enqueue(tx, {
    project: request.project,
    kind: 'signal',
    workflowId: batch.workflowId,
    name: 'annotationsArrived',
    payload: {},
    coalesceKey: `annotationsArrived/${request.batch}`,
  });
}

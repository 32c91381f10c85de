// Label batches (DESIGN §3b.6): opened, leased, answered. The batch's status is the fence of all answers.
// Lock order: run, batch, tasks in the order of their position.
import { sql } from 'drizzle-orm';
import type { LabelSource, Task } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import { workflowIds } from '../domain/ids.js';
import type { Json } from '../domain/json.js';
import type { Answer, BatchStatus, Refusal, TaskStatus } from '../domain/labeling.js';
import { atomically, iso, json, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { enqueue } from './outbox.js';

export { batchState, batchView, listBatches, type BatchState, type BatchView } from './labeling-view.js';
export { decideBatch, type BatchOutcome, type DecideBatch } from './labeling-decision.js';

export interface NewTask {
  /** Of the row in the dataset. */
  key: string;
  /** What the labeler sees: the key and every feature column. */
  item: Json;
  suggestion: { label: string; confidence: number } | null;
  reason: 'strategy' | 'explore';
  /** With which it was drawn; null where it was chosen. */
  probability: number | null;
  score: number | null;
}

export interface NewBatch {
  run: string;
  node: string;
  project: string;
  dataset: string;
  deadline: Date;
  /** Null: any label is taken. */
  classes: string[] | null;
  task: Task;
  tasks: NewTask[];
}

export interface OpenedBatch {
  id: string;
  workflowId: string;
  deadline: string;
  tasks: number;
}

/** Opens the batch of a node; the same run and node again give the same batch. @throws Failure `NotFound` */
export async function openBatch(tx: Tx, batch: NewBatch): Promise<OpenedBatch> {
  return atomically(tx, async (inner) => {
    const held = await row(inner, sql`select 1 from run where id = ${batch.run} for no key update`);
    if (held === null) throw new Failure('NotFound', `there is no run ${batch.run}`);
    const before = await openedBatch(inner, batch.run, batch.node);
    if (before !== null) return before;
    const id = newId('bat');
    await rows(
      inner,
      sql`insert into label_batch (id, project, dataset, run, node, workflow_id, task, classes, deadline)
        values (${id}, ${batch.project}, ${batch.dataset}, ${batch.run}, ${batch.node},
          ${workflowIds.labels(batch.project, id)}, ${batch.task}, ${json(batch.classes)},
          ${batch.deadline.toISOString()})`,
    );
    const tasks = batch.tasks.map((task, position) => ({ id: newId('task'), position, ...task }));
    await rows(
      inner,
      sql`insert into label_task (id, batch, position, key, item, suggestion, reason, probability, score)
        select id, ${id}, position, key, item, nullif(suggestion, 'null'), reason, probability, score
        from jsonb_to_recordset(${json(tasks)}) as t (id text, position int, key text, item jsonb, suggestion jsonb,
          reason text, probability float8, score float8)`,
    );
    await appendEvent(inner, { run: batch.run, type: 'label.opened', data: { batch: id, tasks: tasks.length } });
    const opened = await openedBatch(inner, batch.run, batch.node);
    return opened!;
  });
}

async function openedBatch(tx: Tx, run: string, node: string): Promise<OpenedBatch | null> {
  const found = await row<OpenedBatch>(
    tx,
    sql`select id, workflow_id as "workflowId", deadline,
        (select count(*)::int from label_task t where t.batch = b.id) as tasks
      from label_batch b where run = ${run} and node = ${node}`,
  );
  return found === null ? null : { ...found, deadline: iso(found.deadline) };
}

export interface LeasedTask {
  taskId: string;
  fence: number;
  expiresAt: string;
  item: Json;
  suggestion: { label: string; confidence: number } | null;
}

export interface LeaseRequest {
  project: string;
  batch: string;
  labeler: string;
  count: number;
  /** How long an answer is awaited. Default 10 minutes. */
  ttlMs?: number;
}

/**
 * Gives tasks to a labeler: first those that this labeler holds already, with the same fence and a new expiry, then free
 * ones. Empty when nothing is left.
 * @throws Failure `NotFound`, `BatchClosed`
 */
export async function leaseTasks(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  return atomically(tx, async (inner) => {
    const batch = await lockBatch(inner, request.project, request.batch, 'share');
    if (batch.closed) throw new Failure('BatchClosed', `the batch ${request.batch} takes no more answers`);
    await renewOwn(inner, request);
    // a claim may lose some of its candidates to a lease that was committed while it looked
    for (let round = 0; round < 5; round += 1) {
      const held = await ownLeases(inner, request);
      if (held.length >= request.count) return held;
      const claimed = await claimFree(inner, request, request.count - held.length);
      if (claimed === 0) return held;
    }
    return ownLeases(inner, request);
  });
}

async function renewOwn(tx: Tx, request: LeaseRequest): Promise<void> {
  await rows(
    tx,
    sql`update lease l set expires_at = clock_timestamp() + ${ttl(request)}
      from label_task t
      where l.task = t.id and l.task in (
          select own.task from lease own join label_task mine on mine.id = own.task
          where own.batch = ${request.batch} and own.labeler = ${request.labeler}
            and own.expires_at > clock_timestamp() and mine.status = 'open' and mine.fence = own.fence
          order by mine.position limit ${request.count} for update of own skip locked)
        and l.labeler = ${request.labeler}`,
  );
}

async function ownLeases(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  const found = await rows<LeasedTask>(
    tx,
    sql`select t.id as "taskId", t.fence, l.expires_at as "expiresAt", t.item, t.suggestion
      from lease l join label_task t on t.id = l.task
      where l.batch = ${request.batch} and l.labeler = ${request.labeler} and l.expires_at > clock_timestamp()
        and t.status = 'open' and t.fence = l.fence
      order by t.position limit ${request.count}`,
  );
  return found.map((task) => ({ ...task, expiresAt: iso(task.expiresAt) }));
}

// two statements: the first locks candidates, the second looks at their leases with a snapshot taken under those locks
async function claimFree(tx: Tx, request: LeaseRequest, count: number): Promise<number> {
  const free = await rows<{ id: string }>(
    tx,
    sql`select t.id from label_task t
      where t.batch = ${request.batch} and t.status = 'open' and not exists (
        select 1 from lease l where l.task = t.id and l.expires_at > clock_timestamp())
      order by t.position limit ${count} for update of t skip locked`,
  );
  if (free.length === 0) return 0;
  await rows(
    tx,
    sql`with taken as (
        update label_task t set fence = t.fence + 1
        where t.id in (select jsonb_array_elements_text(${json(free.map((task) => task.id))})) and t.status = 'open'
          and not exists (select 1 from lease l where l.task = t.id and l.expires_at > clock_timestamp())
        returning t.id, t.fence
      )
      insert into lease (task, batch, labeler, fence, expires_at)
      select id, ${request.batch}, ${request.labeler}, fence, clock_timestamp() + ${ttl(request)} from taken
      on conflict (task) do update
        set labeler = excluded.labeler, fence = excluded.fence, expires_at = excluded.expires_at`,
  );
  return free.length;
}

function ttl(request: LeaseRequest) {
  return sql`make_interval(secs => ${(request.ttlMs ?? 600_000) / 1000}::float8)`;
}

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
 * Takes answers. The same answer again counts the same and writes nothing. After the last open task the batch goes to
 * `review`. A closed batch refuses each new answer with `batch-closed`.
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
  given: Map<number, 'accepted' | 'surplus'>;
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
  if (before !== undefined) return { kind: before, fresh: false };
  if (batch.closed) return { kind: 'refused', reason: 'batch-closed' };
  if (!isKnown(answer, batch)) return { kind: 'refused', reason: 'unknown-label' };
  if (task.status !== 'open') {
    const wasLeased = answer.fence >= 1 && answer.fence <= task.fence && task.annotator !== labeler;
    return wasLeased ? { kind: 'surplus', fresh: true } : { kind: 'refused', reason: 'stale-fence' };
  }
  if (answer.fence !== task.fence || task.holder !== labeler) return { kind: 'refused', reason: 'stale-fence' };
  return { kind: 'accepted', fresh: true };
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
  const label = answer.skip === true ? null : (answer.label ?? null);
  task.given.set(answer.fence, outcome);
  if (outcome === 'accepted') task.status = label === null ? 'skipped' : 'labelled';
  return { id: newId('ann'), task: answer.taskId, fence: answer.fence, label, outcome };
}

async function lockBatch(
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
  const found = await rows<
    Omit<LockedTask, 'given'> & { id: string; given: [number, 'accepted' | 'surplus'][] | null }
  >(
    tx,
    sql`select t.id, t.status, t.fence, t.annotator, l.labeler as holder,
        (select jsonb_agg(jsonb_build_array(a.fence, a.outcome)) from annotation a
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

export interface ResolvedLabel {
  key: string;
  label: string;
  source: LabelSource;
  annotators: string[];
  /** Null: not from a batch. */
  batch: string | null;
}

/** The current labels of a dataset that people and the world gave, by key. */
export async function labelsOf(tx: Tx, dataset: string): Promise<ResolvedLabel[]> {
  return rows(
    tx,
    sql`select key, label, source, annotators, batch from label where dataset = ${dataset} order by key collate "C"`,
  );
}

/** Notes a reminder in the run's events, once per share of the deadline. @throws Failure `NotFound` */
export async function remindBatch(tx: Tx, batch: string, share: 0.5 | 0.9): Promise<void> {
  const percent = Math.round(share * 100);
  await atomically(tx, async (inner) => {
    const found = await row<{ run: string }>(inner, sql`select run from label_batch where id = ${batch}`);
    if (found === null) throw new Failure('NotFound', `there is no label batch ${batch}`);
    await mustRow(inner, sql`select 1 from run where id = ${found.run} for no key update`);
    const first = await row(
      inner,
      sql`update label_batch set reminded = ${percent}
        where id = ${batch} and reminded < ${percent} and status = 'open' returning 1`,
    );
    if (first !== null) await appendEvent(inner, { run: found.run, type: 'label.reminder', data: { batch, share } });
  });
}

// Answers to label tasks (architecture, rule 6): which count, which are kept beside those that count, which are refused;
// and what the answers of a task come to once enough are there.
import { sql } from 'drizzle-orm';
import { isRight } from '../domain/consensus.js';
import { labelFault } from '../domain/label-fault.js';
import { type LabelSpace, labelText } from '../domain/label-kind.js';
import type { AnnotationOutcome, Answer, Refusal, TaskStatus } from '../domain/labeling.js';
import { anyOf, atomically, json, preparedRow, preparedRows, type Tx } from './client.js';
import { newId } from './id.js';
import { type GoldScore, scoreGold } from './labeler.js';
import {
  lockedBatch,
  type LockedBatch,
  settleAndWake,
  sharedBatch,
  type StoredBatch,
  textLength,
} from './labeling-batch.js';
import { answersSoFar, conclude, type CountedAnswer, writeConcluded } from './labeling-conclude.js';

export interface AnnotateRequest {
  project: string;
  batch: string;
  labeler: string;
  answers: Answer[];
}

export interface AnnotateResult {
  /** Answers that count, and skips. */
  accepted: number;
  /** Answers kept beside those that count. */
  surplus: number;
  /** `detail`: what is wrong with the label. */
  refused: { taskId: string; reason: Refusal; detail?: string }[];
}

/**
 * Takes answers. The same answer again counts the same and writes nothing, unless it was sent back; another answer under
 * the same fence is `stale-fence`. An answer after its lease expired counts while a slot is free and is kept beside
 * otherwise. After the last open task the batch goes to `review`. A closed batch refuses each new answer with
 * `batch-closed`.
 * @throws Failure `NotFound`
 */
export async function annotate(tx: Tx, request: AnnotateRequest): Promise<AnnotateResult> {
  return atomically(tx, async (inner) => {
    const batch = await lockBatchAndTasks(inner, request);
    const tasks = await readTasks(inner, request);
    const result: AnnotateResult = { accepted: 0, surplus: 0, refused: [] };
    const taken: TakenAnswer[] = [];
    for (const answer of request.answers) {
      const task = tasks.get(answer.taskId);
      const label = labelOf(answer, batch, task);
      const judged = judge({ answer, label, task, batch });
      if (judged.kind === 'refused') {
        const { reason } = judged;
        const detail = reason === 'unknown-label' ? { detail: labelFault(answer.label, spaceOf(batch, task)) } : {};
        result.refused.push({ taskId: answer.taskId, reason, ...detail });
        continue;
      }
      result[judged.kind === 'surplus' ? 'surplus' : 'accepted'] += 1;
      if (judged.fresh && task) taken.push(take(answer, task, { label, outcome: judged.kind }));
    }
    if (taken.length > 0) await keep(inner, request, { batch, tasks, taken });
    return result;
  });
}

interface LockedTask {
  id: string;
  status: TaskStatus;
  floor: number;
  wanted: number;
  answered: number;
  gold: string | null;
  textLength: number | null;
  /** This labeler's lease, live or not. */
  lease: { fence: number; live: boolean; seconds: number } | null;
  /** Slots that live leases of others keep. */
  kept: number;
  /** This labeler's answers so far, by fence. */
  given: Map<number, GivenAnswer>;
  /** Of everybody, above the floor. */
  counted: CountedAnswer[];
  skips: number;
  /** How this labeler did on gold items. */
  right: number;
  tested: number;
}

interface GivenAnswer {
  outcome: AnnotationOutcome;
  /** Null: skipped. */
  label: string | null;
}

interface TakenAnswer {
  id: string;
  task: string;
  fence: number;
  label: string | null;
  outcome: AnnotationOutcome;
  seconds: number | null;
  comment: string | null;
  gold: string | null;
}

type Judgement = { kind: AnnotationOutcome; fresh: boolean } | { kind: 'refused'; reason: Refusal };

/** The answer's text; null: a skip, or no label of this batch. */
function labelOf(answer: Answer, batch: LockedBatch, task: LockedTask | undefined): string | null {
  return answer.skip === true ? null : labelText(answer.label, spaceOf(batch, task));
}

function spaceOf({ kind, classes }: LockedBatch, task: LockedTask | undefined): LabelSpace {
  return { kind, classes, textLength: task?.textLength ?? null };
}

interface Judged {
  answer: Answer;
  label: string | null;
  task: LockedTask | undefined;
  batch: LockedBatch;
}

function judge({ answer, label, task, batch }: Judged): Judgement {
  if (task === undefined) return { kind: 'refused', reason: 'unknown-task' };
  const before = task.given.get(answer.fence);
  // sent back meanwhile: that answer counts no more
  if (before?.outcome === 'accepted' && answer.fence <= task.floor) return { kind: 'refused', reason: 'stale-fence' };
  const readable = label !== null || answer.skip === true;
  if (before?.label === label && readable) return { kind: before.outcome, fresh: false };
  if (batch.closed) return { kind: 'refused', reason: 'batch-closed' };
  if (!readable) return { kind: 'refused', reason: 'unknown-label' };
  // a fence is good for one answer; whoever thinks better of it leases the task again once it is sent back
  if (before !== undefined || task.lease?.fence !== answer.fence || answer.fence <= task.floor) {
    return { kind: 'refused', reason: 'stale-fence' };
  }
  return { kind: outcomeOf(answer, task, batch), fresh: true };
}

function outcomeOf(answer: Answer, task: LockedTask, { policy }: LockedBatch): AnnotationOutcome {
  if (answer.skip === true && (policy.skip.to !== 'nobody' || task.gold !== null)) return 'skipped';
  if (task.gold !== null) return 'accepted';
  const free = task.wanted - task.answered - (task.lease?.live === true ? 0 : task.kept);
  return task.status === 'open' && free > 0 ? 'accepted' : 'surplus';
}

// what is taken shows at once: the same task may be named twice in one request
function take(
  answer: Answer,
  task: LockedTask,
  { label, outcome }: { label: string | null; outcome: AnnotationOutcome },
): TakenAnswer {
  task.given.set(answer.fence, { outcome, label });
  if (outcome === 'accepted') task.answered += 1;
  if (outcome === 'skipped') task.skips += 1;
  return {
    ...{ id: newId('ann'), task: answer.taskId, fence: answer.fence, label, outcome, gold: task.gold },
    ...{ seconds: task.lease?.seconds ?? null, comment: answer.comment ?? null },
  };
}

async function lockBatchAndTasks(tx: Tx, request: AnnotateRequest): Promise<LockedBatch> {
  const ids = request.answers.map(({ taskId }) => taskId);
  const found = await preparedRow<StoredBatch>(
    tx,
    sql`with b as (${sharedBatch(request)}),
      t as (
        select 1 from label_task t join b on b.id = t.batch where t.id = ${anyOf(ids)} order by t.position for update of t
      )
      select b.*, (select count(*) from t) as locked from b`,
  );
  return lockedBatch(request.batch, found);
}

/** In a statement of its own, to see leases and answers as they are under the locks. */
async function readTasks(tx: Tx, { batch, labeler, answers }: AnnotateRequest): Promise<Map<string, LockedTask>> {
  const found = await preparedRows<Omit<LockedTask, 'given'> & { given: [number, GivenAnswer][] | null }>(
    tx,
    sql`select t.id, t.status, t.floor, t.wanted, t.answered, t.gold, ${textLength} as "textLength",
        case when l.task is null then null else jsonb_build_object('fence', l.fence,
          'live', l.expires_at > clock_timestamp(),
          'seconds', extract(epoch from clock_timestamp() - l.leased_at)::float8) end as lease,
        (select count(*)::int from lease o where o.task = t.id and o.labeler <> ${labeler}
          and o.fence > t.floor and o.expires_at > clock_timestamp()) as kept,
        (select jsonb_agg(jsonb_build_array(a.fence, jsonb_build_object('outcome', a.outcome, 'label', a.label)))
          from annotation a where a.task = t.id and a.annotator = ${labeler}) as given,
        f.skips, f.counted, coalesce(me.gold_right, 0) as "right", coalesce(me.gold_answered, 0) as tested
      from label_task t left join lease l on l.task = t.id and l.labeler = ${labeler}
        left join batch_labeler me on me.batch = t.batch and me.labeler = ${labeler}
        cross join lateral (
          select ${answersSoFar} from annotation a left join batch_labeler w on w.batch = t.batch and w.labeler = a.annotator
          where a.task = t.id and a.fence > t.floor) f
      where t.batch = ${batch} and t.id = ${anyOf(answers.map(({ taskId }) => taskId))}`,
  );
  return new Map(found.map((task) => [task.id, { ...task, given: new Map(task.given ?? []) }]));
}

interface Taken {
  batch: LockedBatch;
  tasks: Map<string, LockedTask>;
  taken: TakenAnswer[];
}

/** Writes answers and what the tasks come to with them. */
async function keep(tx: Tx, request: AnnotateRequest, { batch, tasks, taken }: Taken): Promise<void> {
  const { labeler } = request;
  const score = await scoreTests(tx, labeler, batch, taken);
  const asked = taken.filter(({ gold, outcome }) => gold === null && outcome !== 'surplus');
  const concluded = asked.flatMap((answer) => {
    const task = tasks.get(answer.task);
    return task?.status === 'open' ? [conclude(batch, withAnswer(task, answer, score))] : [];
  });
  await preparedRows(
    tx,
    sql`with answered as (
        insert into annotation (id, task, annotator, fence, round, label, outcome, seconds, comment)
        select id, task, ${labeler}, fence, ${batch.round}::int, label, outcome, seconds, comment
        from jsonb_to_recordset(${json(taken)})
          as a (id text, task text, fence int, label text, outcome text, seconds float8, comment text)
        returning task
      ), returned as (
        delete from lease using answered where lease.task = answered.task and lease.labeler = ${labeler}
      )
      ${writeConcluded(concluded)}`,
  );
  // the workflow looks at what is settled, no nearer
  if (concluded.some(({ status }) => status !== 'open')) await settleAndWake(tx, request.project, batch);
}

function withAnswer(task: LockedTask, { fence, label, outcome }: TakenAnswer, score: GoldScore | null) {
  const { right, answered } = score ?? { right: task.right, answered: task.tested };
  const fresh = label === null || outcome !== 'accepted' ? [] : [{ fence, label, right, answered }];
  return { ...task, counted: [...task.counted, ...fresh] };
}

/** Null: no test among them. */
async function scoreTests(
  tx: Tx,
  labeler: string,
  batch: LockedBatch,
  taken: TakenAnswer[],
): Promise<GoldScore | null> {
  const tests = taken.filter(({ gold, outcome }) => gold !== null && outcome === 'accepted');
  if (tests.length === 0) return null;
  const right = tests.filter(({ gold, label }) => label !== null && isRight(batch.kind, gold ?? '', label)).length;
  return scoreGold(tx, batch, labeler, { right, answered: tests.length });
}

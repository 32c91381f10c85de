// Answers to label tasks (architecture, rule 6): which count, which are kept beside those that count, which are refused;
// and what the answers of a task come to once enough are there.
import { sql } from 'drizzle-orm';
import { accuracyOf, consensusOf, isRight, wantedAfter } from '../domain/consensus.js';
import { labelText, preferences } from '../domain/label-kind.js';
import { isFit } from '../domain/label-policy.js';
import type { AnnotationOutcome, Answer, Refusal, TaskStatus } from '../domain/labeling.js';
import { atomically, json, mustRow, rows, type Tx } from './client.js';
import { newId } from './id.js';
import { lockBatch, type LockedBatch, settleAndWake, textLength } from './labeling-batch.js';

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
  refused: { taskId: string; reason: Refusal }[];
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
    const batch = await lockBatch(inner, request.project, request.batch, 'share');
    const tasks = await lockTasks(inner, request);
    const result: AnnotateResult = { accepted: 0, surplus: 0, refused: [] };
    const taken: TakenAnswer[] = [];
    for (const answer of request.answers) {
      const task = tasks.get(answer.taskId);
      const label = labelOf(answer, batch, task);
      const judged = judge({ answer, label, task, batch });
      if (judged.kind === 'refused') {
        result.refused.push({ taskId: answer.taskId, reason: judged.reason });
        continue;
      }
      result[judged.kind === 'surplus' ? 'surplus' : 'accepted'] += 1;
      if (judged.fresh && task) taken.push(take(answer, task, { label, outcome: judged.kind }));
    }
    await writeAnswers(inner, request, batch, taken);
    return result;
  });
}

interface LockedTask {
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
function labelOf(answer: Answer, { kind, classes }: LockedBatch, task: LockedTask | undefined): string | null {
  if (answer.skip === true) return null;
  return labelText(answer.label, { kind, classes, textLength: task?.textLength ?? null });
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
  return {
    ...{ id: newId('ann'), task: answer.taskId, fence: answer.fence, label, outcome, gold: task.gold },
    ...{ seconds: task.lease?.seconds ?? null, comment: answer.comment ?? null },
  };
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
    sql`select t.id, t.status, t.floor, t.wanted, t.answered, t.gold, ${textLength} as "textLength",
        case when l.task is null then null else jsonb_build_object('fence', l.fence,
          'live', l.expires_at > clock_timestamp(),
          'seconds', extract(epoch from clock_timestamp() - l.leased_at)::float8) end as lease,
        (select count(*)::int from lease o where o.task = t.id and o.labeler <> ${request.labeler}
          and o.fence > t.floor and o.expires_at > clock_timestamp()) as kept,
        (select jsonb_agg(jsonb_build_array(a.fence, jsonb_build_object('outcome', a.outcome, 'label', a.label))) from annotation a
          where a.task = t.id and a.annotator = ${request.labeler}) as given
      from label_task t left join lease l on l.task = t.id and l.labeler = ${request.labeler}
      where t.batch = ${request.batch} and t.id in (select jsonb_array_elements_text(${ids}))`,
  );
  return new Map(found.map((task) => [task.id, { ...task, given: new Map(task.given ?? []) }]));
}

async function writeAnswers(tx: Tx, request: AnnotateRequest, batch: LockedBatch, taken: TakenAnswer[]): Promise<void> {
  if (taken.length === 0) return;
  const { labeler } = request;
  await rows(
    tx,
    sql`with answered as (
        insert into annotation (id, task, annotator, fence, round, label, outcome, seconds, comment)
        select id, task, ${labeler}, fence, ${batch.round}, label, outcome, seconds, comment
        from jsonb_to_recordset(${json(taken)})
          as a (id text, task text, fence int, label text, outcome text, seconds float8, comment text)
        returning task
      )
      delete from lease using answered where lease.task = answered.task and lease.labeler = ${labeler}`,
  );
  await scoreGold(tx, request, batch, taken);
  const asked = taken.filter(({ gold, outcome }) => gold === null && outcome !== 'surplus');
  if (asked.length === 0) return;
  await concludeTasks(tx, batch, [...new Set(asked.map(({ task }) => task))]);
  await settleAndWake(tx, request.project, batch);
}

/** Counts the answers to gold items; who falls below the floor is paused, and what they hold goes to others. */
async function scoreGold(tx: Tx, request: AnnotateRequest, batch: LockedBatch, taken: TakenAnswer[]): Promise<void> {
  const tests = taken.filter(({ gold, outcome }) => gold !== null && outcome === 'accepted');
  if (tests.length === 0) return;
  const right = tests.filter(({ gold, label }) => label !== null && isRight(batch.kind, gold ?? '', label)).length;
  const person = sql`batch = ${batch.id} and labeler = ${request.labeler}`;
  const score = await mustRow<{ right: number; answered: number }>(
    tx,
    sql`update batch_labeler set gold_answered = gold_answered + ${tests.length}, gold_right = gold_right + ${right}
      where ${person} returning gold_answered as answered, gold_right as "right"`,
  );
  if (isFit(batch.policy, score.answered, score.right)) return;
  await rows(tx, sql`update batch_labeler set paused_at = clock_timestamp() where ${person} and paused_at is null`);
  await rows(tx, sql`delete from lease where ${person}`);
}

interface Concluded {
  id: string;
  status: TaskStatus;
  wanted: number;
  label: string | null;
  confidence: number | null;
}

interface AnsweredTask {
  id: string;
  wanted: number;
  answered: number;
  skips: number;
  answers: { label: string; right: number; answered: number }[] | null;
}

/** Counts the answers of the tasks anew, and says what those with enough of them come to; gold items are left out. */
export async function concludeTasks(tx: Tx, batch: LockedBatch, ids: string[]): Promise<void> {
  const found = await rows<AnsweredTask>(
    tx,
    sql`select t.id, t.wanted, count(*) filter (where a.outcome = 'accepted')::int as answered,
        count(*) filter (where a.outcome = 'skipped')::int as skips,
        jsonb_agg(jsonb_build_object('label', a.label, 'right', w.gold_right, 'answered', w.gold_answered)
          order by a.fence) filter (where a.label is not null and a.outcome = 'accepted') as answers
      from label_task t join annotation a on a.task = t.id and a.fence > t.floor
        left join batch_labeler w on w.batch = t.batch and w.labeler = a.annotator
      where t.id in (select jsonb_array_elements_text(${json(ids)})) and t.status = 'open'
        and t.gold is null group by t.id`,
  );
  await rows(
    tx,
    sql`update label_task t set status = c.status, wanted = c.wanted, answered = c.answered, label = c.label,
        confidence = c.confidence, annotated_at = clock_timestamp()
      from jsonb_to_recordset(${json(found.map((task) => ({ answered: task.answered, ...conclude(batch, task) })))})
        as c (id text, status text, wanted int, answered int, label text, confidence float8)
      where t.id = c.id`,
  );
}

function conclude({ kind, classes, policy }: LockedBatch, task: AnsweredTask): Concluded {
  const { id, wanted, answered, skips } = task;
  const open: Concluded = { id, status: 'open', wanted, label: null, confidence: null };
  if (answered < wanted) return skips >= policy.skip.most ? { ...open, status: 'skipped' } : open;
  const answers = (task.answers ?? []).map((one) => ({
    label: one.label,
    accuracy: accuracyOf(one.right, one.answered),
  }));
  if (answers.length === 0) return { ...open, status: 'skipped' };
  const choices = kind === 'preference' ? preferences.length : (classes?.length ?? null);
  const found = consensusOf(kind, answers, choices);
  const more = wantedAfter(policy.overlap, wanted, found);
  if (more > wanted) return { ...open, wanted: more };
  return { ...open, status: 'labelled', label: found.label, confidence: found.confidence };
}

// A run again: another run's document and data, and of its steps what did not change. What is taken over stands in rows of
// the new run, with its artifacts, when the run is opened.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { type StoredDocument, todaysDocument } from '../domain/document-stored.js';
import { Failure } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import type { Plan, PlanNode } from '../domain/plan.js';
import { planRun } from '../domain/plan-run.js';
import { cutPlan, fromFault, overrideFaults, takeOver } from '../domain/rerun.js';
import { digestsIn, isPureStep } from '../domain/reuse.js';
import type { Verdict } from '../domain/run.js';
import type { EvaluateResult, ExtractResult, LabelResult, ValidateResult } from '../domain/steps.js';
import { atomically, json, row, rows, type Tx } from './client.js';
import { findResult, useResult } from './result.js';
import {
  insertRun,
  lockPipeline,
  openedBefore,
  type OpenedRun,
  type OpenRun,
  optionFaults,
  refuseFaults,
  refuseSecond,
  specify,
} from './run-open.js';

export interface OpenRerun extends Omit<OpenRun, 'pipeline' | 'trigger' | 'workflowId'> {
  /** Id of the run to run again. */
  run: string;
  /** Step to begin with; null: after the data. */
  from: string | null;
}

interface Source {
  number: number;
  pipeline: string;
  version: number;
  dataset: string;
  document: PipelineDocument;
  overrides: Record<string, Json>;
  source: Json;
  acceptedRows: number;
}

/**
 * Opens a run that runs another one again.
 * @throws Failure `NotFound`, `RunLive`, `InvalidRequest` (a step or an override that does not fit), `RerunImpossible`
 */
export async function openRerun(tx: Tx, request: OpenRerun): Promise<OpenedRun> {
  return atomically(tx, (inner) => openOnce(inner, request));
}

async function openOnce(tx: Tx, request: OpenRerun): Promise<OpenedRun> {
  const source = await sourceOf(tx, request.project, request.run);
  const pipeline = await lockPipeline(tx, request.project, source.pipeline);
  const before = await openedBefore(tx, pipeline.id, request.startKey);
  if (before !== null) return before;
  await refuseSecond(tx, pipeline.id, source.pipeline);
  const overrides = { ...source.overrides, ...request.overrides };
  const document = specify(source.source, overrides);
  await refuseOtherSplit(tx, pipeline.id, document);
  const { plan, taken } = planAgain(source, document, request);
  const opened = await insertRun(
    tx,
    { ...request, pipeline: source.pipeline, trigger: 'manual', overrides },
    { ...source, id: pipeline.id },
    document,
    { run: request.run, from: request.from },
  );
  await takeSteps(tx, { source: request.run, run: opened.id, project: request.project, number: source.number }, taken);
  await takeVerdict(tx, opened.id, plan);
  return opened;
}

async function sourceOf(tx: Tx, project: string, run: string): Promise<Source> {
  const found = await row<Source>(
    tx,
    sql`select r.number, p.name as pipeline, r.pipeline_version as version, r.dataset, r.specification as document,
        r.overrides, v.source, r.accepted_rows_at_open::float8 as "acceptedRows"
      from run r join pipeline p on p.id = r.pipeline
        join pipeline_version v on v.pipeline = r.pipeline and v.version = r.pipeline_version
      where r.project = ${project} and r.id = ${run}`,
  );
  if (found === null) throw new Failure('NotFound', `there is no run ${run}`);
  return { ...found, document: todaysDocument(found) };
}

// the split is fixed while there is a champion: by an older one, rows of its training would judge it
async function refuseOtherSplit(tx: Tx, pipeline: string, document: PipelineDocument): Promise<void> {
  const present = await row<StoredDocument>(
    tx,
    sql`select v.document, v.source from pipeline p
      join pipeline_version v on v.pipeline = p.id and v.version = p.version
      join alias a on a.model = p.model and a.name = 'champion' where p.id = ${pipeline}`,
  );
  if (present === null || canonicalJson(todaysDocument(present).split) === canonicalJson(document.split)) return;
  throw impossible('its rows were split in another way than those of the champion');
}

function impossible(why: string): Failure {
  return new Failure('RerunImpossible', `${why}; start a new run instead`);
}

function planAgain(source: Source, document: PipelineDocument, request: OpenRerun) {
  const { from, until = null } = request;
  const whole = planRun(document);
  const faults = optionFaults(whole, request);
  const wrong = from === null ? null : fromFault(whole, from);
  refuseFaults(wrong === null ? faults : [...faults, wrong]);
  const plan = cutPlan(whole, until);
  if (from !== null && fromFault(plan, from) !== null) {
    refuseFaults([{ path: 'until', message: `${until} comes before ${from}, which the run begins with` }]);
  }
  const taken = takeOver(plan, from);
  const documents = { before: source.document, after: document };
  refuseFaults(overrideFaults([...taken.must, ...taken.may], documents, request.overrides));
  return { plan, taken };
}

interface Taking {
  source: string;
  run: string;
  project: string;
  /** Of the source. */
  number: number;
}

interface DoneStep {
  result: Json;
  inputsDigest: Digest | null;
}

async function takeSteps(tx: Tx, taking: Taking, nodes: { must: PlanNode[]; may: PlanNode[] }): Promise<void> {
  for (const node of nodes.must) {
    const done = await doneStep(tx, taking.source, node);
    if (done === null) throw impossible(`${node.name} did not succeed in run ${taking.number}`);
    // the bytes of a pure step can be made again from the data
    if (!(await takeStep(tx, taking, node, done)) && !isPureStep(node.activity)) {
      throw impossible(`the bytes that ${node.name} gave in run ${taking.number} are gone`);
    }
  }
  for (const node of nodes.may) {
    const done = await doneStep(tx, taking.source, node);
    if (done !== null) await takeStep(tx, taking, node, done);
  }
}

/** The last result of a node, as the node after it took it. */
async function doneStep(tx: Tx, run: string, node: PlanNode): Promise<DoneStep | null> {
  // choosing what to ask and the wait for answers are rows of the node `label` too
  const whole = node.kind === 'labels' ? sql`and result ? 'dataset'` : sql``;
  const found = await row<DoneStep>(
    tx,
    sql`select result, inputs_digest as "inputsDigest" from step
      where run = ${run} and node = ${node.name} and not wait and status = 'succeeded' and result is not null ${whole}
      order by started_at desc limit 1`,
  );
  const asked = (found?.result as { kind?: string } | undefined)?.kind === 'ask';
  return asked ? null : found;
}

/** False: something of what the step gave is gone, nothing was taken. */
async function takeStep(tx: Tx, taking: Taking, node: PlanNode, done: DoneStep): Promise<boolean> {
  // dropped when the run ends, as whatever steps keep
  const owner = `step:${taking.run}/taken/${node.name}`;
  if (isPureStep(node.activity)) {
    if (node.activity === 'evaluate' && (await otherChampion(tx, taking.run, done.result))) return false;
    const { project } = taking;
    const key = done.inputsDigest && { project, activity: node.activity, inputsDigest: done.inputsDigest };
    const found = key && (await findResult(tx, key));
    // another run with these inputs may have given other bytes since, and only those are kept
    if (!key || !found || !sameDigests(found.result, done.result)) return false;
    await useResult(tx, key, owner);
  } else if (!(await keepFiles(tx, owner, filesOf(node.activity, done.result)))) return false;
  const result = done.result as { [key: string]: Json };
  const own = String(result['summary']).replace(/^(taken over|reused) from run \d+: /, '');
  const summary = `taken over from run ${taking.number}: ${own}`;
  await rows(
    tx,
    sql`insert into step (workflow_id, workflow_run_id, activity_id, run, node, worker, attempt, status, result, summary,
        inputs_digest, reused, started_at, finished_at)
      select workflow_id, id, ${`taken/${node.name}`}, id, ${node.name}, '', 1, 'succeeded',
        ${json({ ...result, summary })}, ${summary}, ${done.inputsDigest}, ${taking.source}, clock_timestamp(),
        clock_timestamp()
      from run where id = ${taking.run}`,
  );
  return true;
}

/** Whether the verdict compares with another champion than there is now: its release would send it back to be judged. */
async function otherChampion(tx: Tx, run: string, result: Json): Promise<boolean> {
  const present = await row<{ version: number }>(
    tx,
    sql`select a.version from run r join pipeline p on p.id = r.pipeline
      join alias a on a.model = p.model and a.name = 'champion' where r.id = ${run}`,
  );
  return (present?.version ?? null) !== (result as unknown as EvaluateResult).champion;
}

const sameDigests = (one: Json, other: Json): boolean =>
  canonicalJson(digestsIn(one).sort()) === canonicalJson(digestsIn(other).sort());

/** The artifacts of a data step, apart from what is an id. */
function filesOf(activity: string, result: Json): Digest[] {
  if (activity === 'extract') return [(result as unknown as ExtractResult).raw];
  if (activity === 'validate') {
    const validated = result as unknown as Extract<ValidateResult, { kind: 'ok' }>;
    const { file, quarantine, sources } = validated;
    return [file, ...[quarantine, sources].filter((digest): digest is Digest => digest != null)];
  }
  if (activity !== 'label') return [];
  const { file, sources } = result as unknown as LabelResult;
  return [file, ...(sources ? [sources] : [])];
}

async function keepFiles(tx: Tx, owner: string, files: Digest[]): Promise<boolean> {
  const kept = await rows(
    tx,
    sql`insert into artifact_reference (owner, role, digest)
      select ${owner}, 'taken', digest from artifact where digest in (select jsonb_array_elements_text(${json(files)}))
      returning 1`,
  );
  return kept.length === new Set(files).size;
}

/** What `evaluate` writes on its run besides its result. */
async function takeVerdict(tx: Tx, run: string, plan: Plan): Promise<void> {
  if (!plan.some(({ name }) => name === 'evaluate')) return;
  const [taken] = await takenSteps(tx, run, 'evaluate');
  if (!taken) return;
  const { metrics, verdict, evaluation } = taken.result as unknown as EvaluateResult;
  await rows(
    tx,
    sql`update run set metrics = ${json(metrics)}, verdict = ${json(verdict satisfies Verdict)}, evaluation = ${evaluation}
      where id = ${run}`,
  );
}

export interface TakenStep {
  node: string;
  result: Json;
}

/** What a run took over when it was opened. */
export async function takenSteps(tx: Tx, run: string, node: string | null = null): Promise<TakenStep[]> {
  return rows<TakenStep>(
    tx,
    sql`select node, result from step where run = ${run} and workflow_run_id = ${run}
      and activity_id = 'taken/' || node and (${node}::text is null or node = ${node})`,
  );
}

// A check by a user's program: the variant that would be served, the holdout rows with its answers and the gate's metrics lie
// in its folder, and its verdict is read from there. It may take all the time that its deadline gives; killed, it runs again.
import { constants, createWriteStream } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DeclaredEnvironment } from '../../adapters/command/environment.js';
import { runProgram } from '../../adapters/command/run.js';
import { readVerdict } from '../../adapters/command/verdict.js';
import { inScratchFolder } from '../../adapters/scratch.js';
import type { Digest } from '../../domain/artifact.js';
import type { Check, CheckFacts } from '../../domain/check.js';
import type { CommandSpec } from '../../domain/command.js';
import { Failure, failures } from '../../domain/failures.js';
import type { Json } from '../../domain/json.js';
import { metricsOf } from '../../domain/measure.js';
import type { CheckAnswer, CheckJob } from '../../domain/program.js';
import {
  codeOf,
  declaredBy,
  environmentOf,
  following,
  type ProgramDeps,
  programPaths,
  programSpec,
  secretsOf,
  unpackCode,
} from '../program.js';
import { currentStep } from '../step.js';
import type { Subject } from './check.js';

type CommandCheck = Extract<Check, { kind: 'command' }>;

/** What a check's program runs in, or why it cannot run. */
export type DeclaredCheck = { code: Digest; environment: DeclaredEnvironment } | { failure: Failure };

const paths = { model: 'model.onnx', rows: 'holdout.parquet', answers: 'answers.jsonl', verdict: 'verdict.json' };
const linesAtOnce = 1_000;

/** Of every program of the gate, by the names of the checks, before anything is judged. What is wrong with one costs its check. */
export async function declaredChecks(
  deps: ProgramDeps,
  project: string,
  checks: Check[],
): Promise<Map<string, DeclaredCheck>> {
  const found = new Map<string, DeclaredCheck>();
  for (const check of checks) if (check.kind === 'command') found.set(check.name, await declared(deps, project, check));
  return found;
}

async function declared(deps: ProgramDeps, project: string, check: CommandCheck): Promise<DeclaredCheck> {
  try {
    const code = await codeOf(deps, project, check);
    const environment = await inScratchFolder(deps.scratch, 'program', async (folder) => {
      await unpackCode(deps, code, folder);
      return declaredBy(deps, check, folder);
    });
    return { code, environment };
  } catch (error) {
    if (!(error instanceof Failure) || failures[error.failure].family !== 'request') throw error;
    return { failure: error };
  }
}

/** What the verdicts depend on, as far as it is ours to know. */
export function programFacts(programs: Map<string, DeclaredCheck>): Json {
  return [...programs].map(([name, one]) =>
    'failure' in one
      ? { name, failure: one.failure.message }
      : { name, code: one.code, environment: one.environment.digest },
  );
}

/** Rows as the model has answered them, in the order of the Parquet file. */
function* answerLines({ holdout, form, model }: Subject): Generator<string> {
  const { task, classes } = model.signature;
  const { label, probabilities, value } = form.outputs;
  let lines: string[] = [];
  for (const [row, key] of holdout.keys.entries()) {
    const truth = holdout.labels[row] ?? '';
    const answer: CheckAnswer =
      task === 'regression'
        ? { key, truth: Number(truth), value: value?.[row] ?? NaN }
        : {
            ...{ key, truth, label: label?.[row] ?? '' },
            probabilities: Object.fromEntries(
              classes.map((name, at) => [name, probabilities?.[row * classes.length + at] ?? NaN]),
            ),
          };
    lines.push(JSON.stringify(answer));
    if (lines.length < linesAtOnce) continue;
    yield `${lines.join('\n')}\n`;
    lines = [];
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`;
}

async function writeJob(check: CommandCheck, subject: Subject, folder: string): Promise<void> {
  const { holdout, model, form, gate, champion } = subject;
  const job = join(folder, programPaths.job);
  await mkdir(join(folder, programPaths.temporary), { recursive: true });
  await copyFile(model.path, join(job, paths.model), constants.COPYFILE_FICLONE);
  await holdout.copyRows(join(job, paths.rows));
  await pipeline(Readable.from(answerLines(subject)), createWriteStream(join(job, paths.answers)));
  const { signature } = model;
  const { task, key, label, columns } = await holdout.schema();
  const { deadlineMs, memoryMb, diskMb, params, name } = check;
  const { metric, min, max, champion: demanded } = gate;
  const spec: CheckJob = {
    version: 1,
    ...{ name, task, classes: signature.classes, key, label, columns, signature, variant: form.variant },
    ...{ rows: holdout.keys.length, gate: { metric, min, max, champion: demanded }, metrics: metricsOf(form.answers) },
    ...{ champion, params, limits: { deadlineMs, memoryMb, diskMb }, paths },
  };
  await writeFile(join(job, 'spec.json'), `${JSON.stringify(spec, null, 2)}\n`);
}

/** Throws the failure of a program that leaves no verdict: what is its own fault is of the family `request`. */
export async function measureProgram(deps: ProgramDeps, check: CommandCheck, subject: Subject): Promise<CheckFacts> {
  const one = subject.programs.get(check.name);
  if (!one) throw new Failure('Internal', `nothing is declared for the check ${check.name}`);
  if ('failure' in one) throw one.failure;
  currentStep().heartbeat({ check: check.name });
  return inScratchFolder(deps.scratch, 'program', async (folder) => {
    await unpackCode(deps, one.code, folder);
    const environment = await environmentOf(deps, one.environment);
    await writeJob(check, subject, folder);
    const program = await programSpec(deps, check, { folder, environment });
    const spec: CommandSpec = { ...program, drainMs: 0, training: null };
    const secrets = secretsOf(deps);
    const nothing = () => undefined;
    const on = { started: nothing, progress: nothing, checkpoint: () => Promise.resolve() };
    const run = await runProgram(spec, on, { secrets, onChild: deps.onChild });
    const { path } = await following(run, () => `the check ${check.name} begins anew`);
    return { kind: 'command', ...(await readVerdict(path, secrets)) };
  });
}

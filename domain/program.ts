// Programs of users as plain data: what a document says of one wherever it names one, what a program that checks a model
// finds, and the verdict that it leaves (docs/command-trainer.md, docs/pipeline.md).
import type { Digest } from './artifact.js';
import type { Task } from './dataset.js';
import type { FieldFault } from './failures.js';
import * as f from './fields.js';
import type { Json } from './json.js';
import type { Signature } from './model.js';
import type { PipelineDocument } from './pipeline.js';
import type { Variant } from './variant.js';

/** Of `directory` and `code` one is given; stored documents have `code`. */
export interface ProgramParams {
  /** A folder where the API runs; it is packed when the pipeline is posted. */
  directory: string | null;
  /** Digest of an uploaded directory. */
  code: Digest | null;
  /** Program and arguments, run in a copy of the directory. */
  program: string[];
  /** `name@sha256:…`; null: a virtual environment of the directory's requirements.txt, or what the host has. */
  image: string | null;
  /** Of one attempt. */
  deadlineMs: number;
  /** Resident memory of all its processes. */
  memoryMb: number;
  /** Everything that it writes. */
  diskMb: number;
  /** For the program alone. */
  params: { [key: string]: Json };
}

export const programDefaults = { deadlineMs: 4 * 3_600_000, memoryMb: 4_096, diskMb: 10_240 } as const;
/** A training has a day; what remains of it is for the environment and the store. */
export const longestProgramMs = 22 * 3_600_000;

/** A program and where the document names it. */
export interface NamedProgram {
  path: string;
  params: ProgramParams;
}

/** Every program of a document. `listed`: whether its trainers are written as a list. */
export function programsOf({ trainers, gate }: PipelineDocument, listed: boolean): NamedProgram[] {
  const training = trainers.flatMap((trainer, index) =>
    trainer.type === 'command'
      ? [{ path: `${listed ? `trainer[${index}]` : 'trainer'}.params`, params: trainer.params }]
      : [],
  );
  const checking = gate.checks.flatMap((check, index) =>
    check.kind === 'command' ? [{ path: `gate.checks[${index}].command`, params: check }] : [],
  );
  return [...training, ...checking];
}

/** `spec.json` of a program that checks a model. */
export interface CheckJob {
  version: 1;
  /** Of the check. */
  name: string;
  task: Task;
  /** The model's, in the order of its probabilities. */
  classes: string[];
  key: string;
  label: string;
  /** Of the Parquet file. */
  columns: { name: string; type: string }[];
  signature: Signature;
  /** The one that is served where the gate passes. */
  variant: Variant;
  rows: number;
  gate: Pick<PipelineDocument['gate'], 'metric' | 'min' | 'max' | 'champion'>;
  /** On the holdout; null where one is not a finite number. */
  metrics: Record<string, number>;
  champion: { version: number; metrics: Record<string, number> } | null;
  params: { [key: string]: Json };
  limits: { deadlineMs: number; memoryMb: number; diskMb: number };
  /** Relative to the job directory. */
  paths: { model: string; rows: string; answers: string; verdict: string };
}

/** One line of `answers.jsonl`: a holdout row and what the model says of it. */
export interface CheckAnswer {
  key: string;
  /** The label that the row has. */
  truth: string | number;
  label?: string;
  probabilities?: Record<string, number>;
  /** Regression. */
  value?: number;
}

/** `verdict.json`. */
export interface ProgramVerdict {
  passed: boolean;
  reason: string;
  /** What it measured, where it says so. */
  value: number | null;
}

export const mostVerdictBytes = 64 * 1024;
const longestReason = 1_000;

const readVerdict = f.object<ProgramVerdict>({
  passed: f.required(f.flag, 'true or false'),
  reason: f.required(f.text(`a text of at most ${longestReason} characters`, undefined, longestReason), 'a text'),
  value: f.optional<number, null>(f.number(), () => null),
});

/** Only what is exactly a verdict is one; else why not, in words. Never throws. */
export function parseVerdict(text: string): { verdict: ProgramVerdict } | { fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: 'verdict.json is no JSON' };
  }
  const faults: FieldFault[] = [];
  const verdict = readVerdict(value, '', faults);
  if (verdict && faults.length === 0) return { verdict };
  const told = faults.slice(0, 3).map(({ path, message }) => `${path === '' ? 'the whole' : path}: ${message}`);
  return { fault: `verdict.json is no verdict: ${told.join('; ').slice(0, 500)}` };
}

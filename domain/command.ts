// The `command` trainer as plain data: a user's program, what it may use, and what it is told (docs/command-trainer.md).
import type { Digest } from './artifact.js';
import type { Task } from './dataset.js';
import type { Json } from './json.js';
import type { Signature } from './model.js';
import { programDefaults, type ProgramParams } from './program.js';

/** What the program's model takes: the featurised matrix `X`, or the raw rows of the signature. */
export const modelForms = ['features', 'rows'] as const;
export type ModelForm = (typeof modelForms)[number];

/** `trainer.params` of type `command`. */
export interface CommandParams extends ProgramParams {
  inputs: ModelForm;
}

/** JSON Schema of `CommandParams` as a document has them. */
export const commandSchema: { [key: string]: Json } = {
  type: 'object',
  properties: {
    directory: { type: 'string', description: 'A folder where the API runs; or give `code`' },
    code: { type: 'string', pattern: '^sha256:[0-9a-f]{64}$', description: 'Digest of an uploaded directory' },
    program: { type: 'array', items: { type: 'string' }, minItems: 1, description: 'Program and arguments' },
    inputs: { type: 'string', enum: [...modelForms], default: 'features', description: 'What its model takes' },
    image: { type: 'string', description: 'name@sha256:… of a container image' },
    deadline: { type: 'string', default: '4 hours', description: 'Of one attempt, up to 22 hours' },
    memoryMb: { type: 'integer', minimum: 16, default: programDefaults.memoryMb, description: 'Of all its processes' },
    diskMb: { type: 'integer', minimum: 1, default: programDefaults.diskMb, description: 'What it may write' },
    params: { type: 'object', default: {}, description: 'For the program alone' },
  },
  required: ['program'],
  additionalProperties: false,
};

/** Changes whenever the same program would be told other things or its model be packaged otherwise. */
export const commandVersion = '1';

/** What the program finds, relative to the job directory. */
export interface CommandPart {
  rows: number;
  /** The typed rows: key, label and all columns, in key order, as the matrices. */
  parquet: string;
  /** Row-major little-endian float32, rows x width; y: class index or value. */
  x: string;
  y: string;
  /** float32 as `y`: how much each row counts; only where they do not all count the same. */
  weights?: string;
}

/** `spec.json` of the program. */
export interface CommandJob {
  version: 1;
  task: Task;
  classes: string[];
  key: string;
  label: string;
  /** Of the Parquet files. */
  columns: { name: string; type: string }[];
  /** Of the matrices. */
  width: number;
  signature: Signature;
  inputs: ModelForm;
  seed: number;
  params: { [key: string]: Json };
  train: CommandPart;
  validation: CommandPart | null;
  limits: { deadlineMs: number; memoryMb: number; diskMb: number };
  /** The step of the checkpoint that lies in place, 0 without one. */
  resumedFromStep: number;
  paths: { model: string; metrics: string; checkpoint: string };
}

/** What our own child that runs the program is told (workers/command.ts). Paths are absolute. */
export interface CommandSpec {
  /** Unique; holds `code/`, `job/` (the program's PERENNIAL_JOB, by which its processes are known) and what goes to the store. */
  folder: string;
  /** A file to run with its arguments, in `cwd`. */
  command: string[];
  cwd: string;
  env: Record<string, string>;
  /** Run when everything ends: removes what no process of ours holds, such as a container. */
  cleanUp: string[] | null;
  deadlineMs: number;
  memoryMb: number;
  diskMb: number;
  /** From SIGTERM to SIGKILL, for a last checkpoint; 0 where there is none to write. */
  drainMs: number;
  /** Null: it checks a model, and leaves a verdict. */
  training: { checkpointEveryMs: number; inputsDigest: Digest; resumedFromStep: number } | null;
}

/** One line of `metrics.jsonl`: a step and numbers by name. */
export interface MetricLine {
  step: number;
  values: Record<string, number>;
}

/** Longer names and more of them are left out. */
const mostNames = 100;
/** Of a step in the database. */
const largestStep = 2 ** 31 - 1;
const namePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** Null where the line is none; numbers that are not finite are left out. */
export function parseMetricLine(line: string): MetricLine | null {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return null;
  const { step, ...rest } = raw as Record<string, unknown>;
  if (typeof step !== 'number' || !Number.isInteger(step) || step < 0 || step > largestStep) return null;
  const values = Object.entries(rest)
    .filter(([name, value]) => namePattern.test(name) && typeof value === 'number' && Number.isFinite(value))
    .slice(0, mostNames);
  return { step, values: Object.fromEntries(values) as Record<string, number> };
}

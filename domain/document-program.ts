// Programs in a pipeline document: the fields that `trainer.params` of the type `command` and a check's `command` share.
import { type Digest, isDigest } from './artifact.js';
import * as f from './fields.js';
import type { Json } from './json.js';
import { longestProgramMs, programDefaults, type ProgramParams } from './program.js';

type Written = Omit<ProgramParams, 'deadlineMs'> & { deadline: number };

const digest: f.Read<Digest> = (value, path, faults) =>
  isDigest(value)
    ? value
    : f.addFault(faults, path, {
        found: f.described(value),
        allowed: 'sha256: and 64 hex digits, as an upload answers',
      });
const freeJson: f.Read<{ [key: string]: Json }> = (value, path, faults) =>
  f.isRecord(value)
    ? (value as { [key: string]: Json })
    : f.addFault(faults, path, { found: f.described(value), allowed: 'an object for the program' });
const imageWords = 'an image with its digest: name@sha256:… and 64 hex digits';
const deadlines = { minMs: 1_000, maxMs: longestProgramMs, allowed: 'a duration from 1 s to 22 hours' };

const programFields: { [K in keyof Written]: f.Field<Written[K]> } = {
  directory: f.optional<string, null>(f.text('a path'), () => null),
  code: f.optional<Digest, null>(digest, () => null),
  program: f.required(
    f.list(f.text('a text'), { min: 1, max: 1_000, what: 'the program and its arguments' }),
    'a list of the program and its arguments',
  ),
  image: f.optional<string, null>(f.text(imageWords, /^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$/), () => null),
  deadline: f.optional(f.duration(deadlines), () => programDefaults.deadlineMs),
  memoryMb: f.optional(f.number({ min: 16, max: 4_194_304, integer: true }), () => programDefaults.memoryMb),
  diskMb: f.optional(f.number({ min: 1, max: 67_108_864, integer: true }), () => programDefaults.diskMb),
  params: f.optional(freeJson, () => ({})),
};

/** A program with further fields of its own; of `directory` and `code` exactly one is given. */
export function readProgram<More extends object>(more: { [K in keyof More]-?: f.Field<More[K]> }): f.Read<
  ProgramParams & More
> {
  const fields = { ...programFields, ...more } as unknown as {
    [K in keyof (Written & More)]-?: f.Field<(Written & More)[K]>;
  };
  const object = f.object<Written & More>(fields);
  return (value, path, faults) => {
    const read = object(value, path, faults);
    if (!read || read.directory === undefined || read.code === undefined) return undefined;
    const { deadline, ...rest } = read;
    if ((read.directory === null) !== (read.code === null)) {
      return { ...rest, deadlineMs: deadline } as unknown as ProgramParams & More;
    }
    const found = read.code === null ? 'neither directory nor code' : 'both directory and code';
    return f.addFault(faults, f.joinPath(path, 'directory'), { found, allowed: 'one of the two' });
  };
}

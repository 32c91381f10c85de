// For tests of programs: a folder with a small program in it, run as the worker runs one.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../adapters/command/run.js';
import type { TrainerHandlers } from '../../adapters/trainer.js';
import type { CommandSpec, MetricLine } from '../../domain/command.js';

export const place = mkdtempSync(join(tmpdir(), 'perennial-command-'));

export const training = (resumedFromStep = 0): CommandSpec['training'] => ({
  ...{ checkpointEveryMs: 50, inputsDigest: 'sha256:of-a-test', resumedFromStep },
});

/** A folder with `code/` holding these files, and an empty `job/`. */
export function scene(files: Record<string, string>, given: Partial<CommandSpec> = {}): CommandSpec {
  const folder = mkdtempSync(join(place, 'run-'));
  for (const part of ['code', 'job/tmp']) mkdirSync(join(folder, part), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'code', name), text);
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: join(folder, 'job'), TMPDIR: join(folder, 'job/tmp'), PERENNIAL_JOB: join(folder, 'job') };
  return {
    ...{ folder, cwd: join(folder, 'code'), env, cleanUp: null },
    training: training(),
    ...{
      command: ['sh', 'main.sh'],
      deadlineMs: 20_000,
      memoryMb: 2_000,
      diskMb: 1_000,
      drainMs: 1_000,
    },
    ...given,
  };
}

export interface Seen {
  lines: MetricLine[];
  checkpoints: { step: number; path: string }[];
}

export function follow(spec: CommandSpec, given: { secrets?: string[]; on?: Partial<TrainerHandlers> } = {}) {
  const seen: Seen = { lines: [], checkpoints: [] };
  const handlers: TrainerHandlers = {
    started: () => undefined,
    progress: () => undefined,
    metrics: (lines) => void seen.lines.push(...lines),
    checkpoint: async (one) => void seen.checkpoints.push(one),
    ...given.on,
  };
  const pids: number[] = [];
  const options = { secrets: given.secrets ?? [], onChild: (pid: number, up: boolean) => void (up && pids.push(pid)) };
  return { seen, pids, run: runProgram(spec, handlers, options) };
}

/** Command lines of living processes that hold `word`. */
export function livingWith(word: string, pids: string[]): string[] {
  return pids.flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const dead = / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/, ''));
      return line.includes(word) && !dead ? [line] : [];
    } catch {
      return [];
    }
  });
}

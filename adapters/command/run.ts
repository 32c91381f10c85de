// A program seen from the worker, which only supervises: the forked child does the work, and what that leaves is killed.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandSpec } from '../../domain/command.js';
import { runTrainer, type TrainerHandlers, type TrainerOptions, type TrainerRun } from '../trainer.js';
import { leftFolders } from '../scratch.js';
import { Family } from './processes.js';
import { removeContainer } from './program.js';

/** Of our own child, which holds no data. */
const childMemoryMb = 1_024;
/** The child ends the program at its deadline; this is for a child that does not. */
const graceMs = 120_000;

export interface ProgramOptions extends Pick<TrainerOptions, 'onChild'> {
  /** What must not be printed. */
  secrets: readonly string[];
}

/** Runs the program of `spec` in its folder, which exists. When `done` settles nothing of the program is alive. */
export async function runProgram(
  spec: CommandSpec,
  on: TrainerHandlers,
  { secrets, onChild }: ProgramOptions,
): Promise<TrainerRun> {
  const path = join(spec.folder, 'spec.json');
  await writeFile(path, JSON.stringify(spec), { mode: 0o600 });
  const run = runTrainer(path, on, {
    ...{ entry: 'workers/command.ts', memoryLimitMb: childMemoryMb, deadlineMs: spec.deadlineMs + graceMs },
    first: { type: 'secrets', values: [...secrets] },
    ...(onChild && { onChild }),
  });
  const done = run.done.catch(async (error: unknown) => {
    // a child that was killed has cleaned up nothing
    await new Family(0, spec.folder).killAll();
    await removeContainer(spec.cleanUp);
    throw error;
  });
  done.catch(() => undefined);
  return { ...run, done };
}

/** Kills what programs of workers that are gone left below `scratch`. Gives how many processes; never throws. */
export async function killLeftPrograms(scratch: string): Promise<number> {
  let killed = 0;
  for (const folder of await leftFolders(scratch)) {
    killed += (await new Family(0, join(scratch, folder)).killAll()).length;
    await removeContainer(await cleanUpOf(join(scratch, folder, 'spec.json')));
  }
  return killed;
}

/** Null where there is no whole specification: its worker ended before it had started anything. */
async function cleanUpOf(path: string): Promise<string[] | null> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as Partial<CommandSpec>).cleanUp ?? null;
  } catch {
    return null;
  }
}

// The trainer child, seen from the parent, which only supervises: its messages, their order, and what its death means.
// Deadline, memory limit and SIGKILL are fork.ts's.
import type { MetricLine } from '../domain/command.js';
import { Failure, isFailureName } from '../domain/failures.js';
import type { TrainerMessage } from '../domain/model.js';
import type { TrainerControl } from '../domain/trainers.js';
import type { ChildOptions } from './fork.js';
import { deadline, startChild } from './fork.js';

/** How long a drained trainer may take to write its checkpoint. */
const drainMs = 20_000;

export interface TrainerRun {
  /** Rejects with a `Failure`; with WorkerShutdown after `stop()`, unless training had ended already. */
  done: Promise<{ path: string; steps: number; loss: number }>;
  /** Drain: the child writes a checkpoint, reports it, and exits. Resolves when that checkpoint was handled. */
  stop(): Promise<void>;
  /** SIGKILL, at once. */
  kill(): void;
  pid: number;
}

export interface TrainerHandlers {
  started(message: Extract<TrainerMessage, { type: 'started' }>): void;
  progress(message: Extract<TrainerMessage, { type: 'progress' }>): void;
  /** Programs only. */
  metrics?(lines: MetricLine[]): void;
  /** Awaited in order; the child hears of it afterwards. What it throws ends the child and rejects `done`. */
  checkpoint(message: { step: number; path: string }): Promise<void>;
}

export interface TrainerOptions extends ChildOptions {
  deadlineMs: number;
  /** Default `workers/trainer.ts`. */
  entry?: 'workers/trainer.ts' | 'workers/command.ts';
  /** Said before anything else. */
  first?: TrainerControl;
}

type Done = { path: string; steps: number; loss: number };

/** Forks a trainer on `specPath` (a `TrainSpec` as JSON) and follows it to its end. */
export function runTrainer(specPath: string, on: TrainerHandlers, options: TrainerOptions): TrainerRun {
  const child = startChild(options.entry ?? 'workers/trainer.ts', [specPath], options);
  let result: Done | null = null;
  let failed: Failure | null = null;
  let stopping = false;
  let handled: Promise<void> = Promise.resolve();
  const tell = (message: TrainerControl): void => {
    if (child.process.connected) child.process.send(message, () => undefined);
  };
  const handle = async (message: TrainerMessage): Promise<void> => {
    if (message.type === 'started') on.started(message);
    else if (message.type === 'progress') on.progress(message);
    else if (message.type === 'metrics') on.metrics?.(message.lines);
    else if (message.type === 'checkpoint') {
      await on.checkpoint({ step: message.step, path: message.path });
      tell({ type: 'stored', step: message.step });
    } else if (message.type === 'done') result = { path: message.path, steps: message.steps, loss: message.loss };
    else failed = new Failure(isFailureName(message.failure) ? message.failure : 'Internal', message.detail);
  };
  let thrown: { error: unknown } | null = null;
  child.process.on('message', (message: TrainerMessage) => {
    handled = handled
      .then(() => (thrown ? undefined : handle(message)))
      .catch((error: unknown) => {
        thrown ??= { error };
        child.kill(new Failure('ChildDied', 'the parent could not keep a checkpoint'));
      });
  });
  if (options.first) tell(options.first);
  const late = new Failure('DeadlineExceeded', `training took longer than ${options.deadlineMs} ms`);
  const timer = deadline(options.deadlineMs, () => child.kill(late));
  const finish = async (): Promise<Done> => {
    const death = await child.ended;
    clearTimeout(timer);
    await handled;
    if (thrown) throw thrown.error;
    if (result) return result;
    if (stopping && !failed && child.process.exitCode === 0)
      throw new Failure('WorkerShutdown', 'training was drained');
    throw failed ?? death;
  };
  const done = finish();
  // Callers that only stop() or kill() are not unhandled rejections.
  done.catch(() => undefined);
  return {
    done,
    pid: child.pid,
    kill: () => child.kill(new Failure('ChildDied', 'the trainer was killed')),
    stop: async () => {
      stopping = true;
      tell({ type: 'stop' });
      const force = deadline(drainMs, () =>
        child.kill(new Failure('WorkerShutdown', 'the trainer did not drain in time')),
      );
      await done.catch(() => undefined);
      clearTimeout(force);
    },
  };
}

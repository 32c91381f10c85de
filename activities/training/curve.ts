// The loss curve and the progress of a training, written beside it: neither holds it up, neither decides its outcome.
import type { Log } from '../../adapters/log.js';
import { type Db, inTransaction } from '../../db/client.js';
import { logMetrics } from '../../db/metric.js';
import { setStepProgress } from '../../db/step.js';
import type { Progress } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { currentStep } from '../step.js';

/** Each write is an event of the run as well. */
const writeEveryMs = 1_000;
/** Progresss kept while the database is away: hours of training. The oldest go first. */
const mostWaiting = 50_000;

export interface Curve {
  add(point: Progress): void;
  /** The last point, or nothing before the first. */
  progress(): Progress | Record<string, never>;
  /** Writes what waits. Never rejects. */
  flush(): Promise<void>;
}

/** For the step that the calling activity is. */
export function lossCurve(deps: { db: Db; log: Log }, input: StepInput): Curve {
  const step = currentStep();
  const { run } = input.context;
  let waiting: Progress[] = [];
  let last: Progress | null = null;
  let lastWrite = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | null = null;
  const write = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    if (batch.length === 0 || !last) return;
    const progress = { ...last };
    try {
      await inTransaction(deps.db, async (tx) => {
        await step.guard(tx);
        const { candidate } = input;
        const curveOf = (name: string, pick: (point: Progress) => number | null) =>
          batch.flatMap((point) => {
            const value = pick(point);
            return value === null ? [] : [{ run, name, candidate, step: point.step, value }];
          });
        const points = [...curveOf('loss', ({ loss }) => loss), ...curveOf('validationLoss', (at) => at.validation)];
        await logMetrics(tx, points);
        await setStepProgress(tx, { ...step.key, fence: step.fence, progress });
      });
    } catch (error) {
      // the next write takes them along; a curve with a gap is no reason to lose a training
      waiting = [...batch, ...waiting].slice(-mostWaiting);
      deps.log.debug({ err: error, run }, 'train.metrics-late');
    }
  };
  const begin = (): Promise<void> => {
    lastWrite = performance.now();
    writing ??= write().finally(() => {
      writing = null;
    });
    return writing;
  };
  return {
    add(point) {
      waiting.push(point);
      last = point;
      if (!writing && performance.now() - lastWrite >= writeEveryMs) void begin();
    },
    progress: () => last ?? {},
    async flush() {
      await writing;
      await begin();
    },
  };
}

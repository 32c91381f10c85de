// The loss curve and the progress of a training, written beside it: neither holds it up, neither decides its outcome.
import type { Log } from '../../adapters/log.js';
import { type Db, inTransaction } from '../../db/client.js';
import { logMetrics } from '../../db/metric.js';
import { setStepProgress } from '../../db/step.js';
import type { MetricLine } from '../../domain/command.js';
import type { Progress } from '../../domain/model.js';
import type { StepInput } from '../../domain/run.js';
import { currentStep } from '../step.js';

/** Each write is an event of the run as well. */
const writeEveryMs = 1_000;
/** Points kept while the database is away: hours of training. The oldest go first. */
const mostWaiting = 50_000;

/** Numbers of a program that say how far it is. */
const progressNames = ['totalSteps', 'epoch', 'epochs'];

export interface Curve {
  add(point: Progress): void;
  /** As `add`, of a program: any numbers by name. */
  note(line: MetricLine): void;
  /** The last point, or nothing before the first. */
  progress(): { [key: string]: number | null };
  /** Writes what waits. Never rejects. */
  flush(): Promise<void>;
}

/** For the step that the calling activity is. */
export function lossCurve(deps: { db: Db; log: Log }, input: StepInput): Curve {
  const step = currentStep();
  const { run } = input.context;
  let waiting: MetricLine[] = [];
  let last: { [key: string]: number | null } | null = null;
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
        const points = batch.flatMap(({ step: at, values }) =>
          Object.entries(values).map(([name, value]) => ({ run, name, candidate, step: at, value })),
        );
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
  const take = (line: MetricLine, shown: { [key: string]: number | null }): void => {
    waiting.push(line);
    last = shown;
    if (!writing && performance.now() - lastWrite >= writeEveryMs) void begin();
  };
  return {
    add(point) {
      const { step: at, loss, validation } = point;
      take(
        { step: at, values: { loss, ...(validation === null ? {} : { validationLoss: validation }) } },
        { ...point },
      );
    },
    note({ step: at, values }) {
      const metrics = Object.entries(values).filter(([name]) => !progressNames.includes(name));
      take({ step: at, values: Object.fromEntries(metrics) }, { ...last, step: at, ...values });
    },
    progress: () => last ?? {},
    async flush() {
      await writing;
      await begin();
    },
  };
}

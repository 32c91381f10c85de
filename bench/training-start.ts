// From the moment the activity forks a trainer child to its first optimiser step: Node's start, imports, data, session.
// A run of the graph is one step here, so that the first report is of the first step, not of the first sixty-four.
// `mlp` 784-256-128-10 on 6,000 rows (19 MB).
import { testBed } from './child.support.js';
import { median } from './epochs.support.js';

const repetitions = 9;
const limitMb = 1_024;

/** Median in milliseconds. */
export async function bench(): Promise<{ ours: number; peer: null; ratio: null; unit: 'ms'; runs: number }> {
  const bed = testBed();
  try {
    const params = { hidden: [256, 128], batch: 256 };
    const spec = { ...bed.spec({ rows: 6_000, width: 784, outputs: 10 }, params), stepsPerRun: 1 };
    const times: number[] = [];
    for (let i = 0; i <= repetitions; i++) {
      const began = performance.now();
      let first = NaN;
      const run = bed.start(
        spec,
        {
          progress: () => {
            first = performance.now() - began;
            run.kill();
          },
        },
        limitMb,
      );
      const end = await run.done.catch((error: unknown) => error);
      if (Number.isNaN(first)) throw end;
      if (i > 0) times.push(first);
    }
    return { ours: median(times), peer: null, ratio: null, unit: 'ms', runs: repetitions };
  } finally {
    bed.remove();
  }
}

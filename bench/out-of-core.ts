// Samples per second of `mlp` 784-256-128-10 on a matrix of five times its memory limit, against one that fits a buffer,
// with the same limit, each in a trainer child; the two take turns. A child over its limit would be killed.
// `--trainer <type>` shows instead that this trainer learns from so much at all, killed and resumed (out-of-core.support.ts).
import { testBed } from './child.support.js';
import { median } from './epochs.support.js';
import { limitMb, proof, type Proven, proven } from './out-of-core.support.js';

const [width, batch, repetitions, secondsEach] = [784, 256, 3, 6];
const params = { hidden: [256, 128], batch, epochs: 100 };

interface Figure {
  ours: number;
  peer: number;
  ratio: number;
  unit: 'samples/s' | 'MiB';
  runs: number;
}

export async function bench(): Promise<Figure> {
  const at = process.argv.indexOf('--trainer');
  if (at < 0) return rates();
  const trainer = process.argv[at + 1] ?? '';
  if (!(trainer in proven)) throw new Error(`--trainer is one of ${Object.keys(proven).join(', ')}`);
  return proof(trainer as Proven);
}

async function rates(): Promise<Figure> {
  const bed = testBed();
  /** Rows a second between the first report and the end of the time. */
  const rate = async (spec: ReturnType<typeof bed.spec>): Promise<number> => {
    let first: { at: number; step: number } | null = null;
    let last = { at: 0, step: 0 };
    const run = bed.start(
      spec,
      {
        progress: ({ step }) => {
          last = { at: performance.now(), step };
          first ??= last;
          if (last.at - first.at > secondsEach * 1000) run.kill();
        },
      },
      limitMb,
    );
    const end: unknown = await run.done.catch((error: unknown) => error);
    const begun = first as { at: number; step: number } | null;
    if (begun === null || last.at - begun.at < secondsEach * 1000) throw end;
    return ((last.step - begun.step) * batch) / ((last.at - begun.at) / 1000);
  };
  try {
    const sizes = { width, outputs: 10 };
    const large = bed.spec({ rows: Math.ceil((5 * limitMb * 2 ** 20) / (4 * width)), ...sizes }, params);
    const small = bed.spec({ rows: 20_000, ...sizes }, params);
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (let i = 0; i < repetitions; i++) {
      ours.push(await rate(large));
      theirs.push(await rate(small));
    }
    const [mine, peer] = [median(ours), median(theirs)];
    return { ours: mine, peer, ratio: mine / peer, unit: 'samples/s', runs: repetitions };
  } finally {
    bed.remove();
  }
}

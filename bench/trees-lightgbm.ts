// Fit time of the trees trainer against LightGBM: 100 rounds of 31 leaves on 255 bins, 100,000 rows x 50, one thread each,
// binning included; the fits take turns. LightGBM is installed once into the user's cache; without it there is no ratio.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fit } from '../ml/trainers/index.js';
import { memoryRows } from '../ml/trainers/rows.js';
import { scoresOf, stateOf } from '../ml/trees/model.js';
import { classificationSpec, median, randomVector } from './epochs.support.js';
import { pythonWith, startPython } from './python.support.js';

const [rows, held, width, repetitions] = [100_000, 10_000, 50, 5];

/** Ten columns matter, by products, steps and waves; labels are drawn by the odds. */
function table(): { x: Float32Array; y: Float32Array } {
  const all = rows + held;
  const [first, second] = [randomVector(all * width, 1), randomVector(all * width, 2)];
  // normal numbers (Box & Muller 1958)
  const x = first.map((u, at) => Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * second[at]!));
  const chance = randomVector(all, 3);
  const y = chance.map((draw, row) => {
    const [a, b, c, d, e, f, g, h, i, j] = x.subarray(row * width) as unknown as number[];
    const steps = Math.abs(e!) * (f! > 0 ? 1 : -1) + 0.5 * g! + 0.3 * h! * i! * j!;
    const odds = a! * b! + Math.sin(2 * c!) + 0.7 * (d! * d! - 1) + steps;
    return draw < 1 / (1 + Math.exp(-2 * odds)) ? 1 : 0;
  });
  return { x, y };
}

/** Share of pairs of a positive and a negative row that the scores put in order (Mann & Whitney). */
function areaUnderCurve(scores: Float32Array, y: Float32Array): number {
  const order = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]!);
  let [ranks, positives] = [0, 0];
  order.forEach((row, rank) => {
    if (y[row] !== 1) return;
    ranks += rank + 1;
    positives += 1;
  });
  return (ranks - (positives * (positives + 1)) / 2) / (positives * (y.length - positives));
}

/** Answers `fit` with the seconds of one fit, binning included, and `auc` with the quality on the held rows. */
const program = (folder: string) => `
import sys, time, numpy, lightgbm
x = numpy.fromfile('${folder}/x.f32', dtype=numpy.float32).reshape(-1, ${width})
y = numpy.fromfile('${folder}/y.f32', dtype=numpy.float32)
params = dict(objective='binary', num_leaves=31, max_bin=255, learning_rate=0.1, min_data_in_leaf=20,
              num_threads=1, force_col_wise=True, verbose=-1)
for line in sys.stdin:
    if line.strip() == 'fit':
        began = time.perf_counter()
        model = lightgbm.train(params, lightgbm.Dataset(x[:${rows}], y[:${rows}]), 100)
        print(time.perf_counter() - began, flush=True)
    else:
        scores, truth = model.predict(x[${rows}:]), y[${rows}:]
        ranks = numpy.empty(len(scores)); ranks[numpy.argsort(scores)] = numpy.arange(1, len(scores) + 1)
        n = truth.sum()
        print((ranks[truth == 1].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)), flush=True)
`;

/** The other side, with its data in `folder`; null with a printed reason where it cannot be. */
async function startPeer(folder: string, x: Float32Array, y: Float32Array) {
  const python = await pythonWith('lightgbm-4.7.0', ['lightgbm==4.7.0', 'numpy==2.4.6']);
  if (typeof python !== 'string') {
    console.error(`without LightGBM: ${python.reason}`);
    return null;
  }
  writeFileSync(join(folder, 'x.f32'), x);
  writeFileSync(join(folder, 'y.f32'), y);
  return startPython(python, program(folder));
}

export async function bench() {
  const { x, y } = table();
  const params = { rounds: 100, leaves: 31, bins: 255, learningRate: 0.1, minRows: 20 };
  const spec = classificationSpec('trees', { rows, width, outputs: 2 }, params);
  const train = memoryRows(x.subarray(0, rows * width), y.slice(0, rows), width);
  const folder = mkdtempSync(join(tmpdir(), 'trees-lightgbm-'));
  const peer = await startPeer(folder, x, y);
  try {
    const [mine, theirs]: [number[], number[]] = [[], []];
    let area = 0;
    for (let i = 0; i <= repetitions; i++) {
      const start = performance.now();
      const { snapshot } = await fit(spec, { train, validation: null });
      mine.push((performance.now() - start) / 1000);
      if (peer) theirs.push(await peer.ask('fit'));
      area = areaUnderCurve(scoresOf(stateOf(snapshot), x.subarray(rows * width)), y.subarray(rows));
    }
    const ours = median(mine.slice(1));
    const result = { ours, unit: 's', runs: repetitions };
    if (!peer) return { ...result, peer: null, ratio: null };
    const theirArea = await peer.ask('auc');
    console.error(`area under the curve: ${area.toFixed(5)}, LightGBM ${theirArea.toFixed(5)}`);
    if (area < theirArea - 0.005) throw new Error('the trees are more than 0.005 worse than those of LightGBM');
    return { ...result, peer: median(theirs.slice(1)), ratio: ours / median(theirs.slice(1)) };
  } finally {
    peer?.end();
    rmSync(folder, { recursive: true });
  }
}

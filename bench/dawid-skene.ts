// Time of Dawid and Skene's estimate against crowd-kit 1.4.2: 100,000 answers of 200 people to 20,000 items of 10 classes,
// 20 rounds from the shares of votes on both sides (crowd-kit's own stop counts ln prior once per answer, so it is not the
// likelihood's), one thread each, in turns. Both must reach the same log-likelihood and the same labels.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dawidSkene } from '../stats/dawid-skene.js';
import { createRandom } from '../stats/prng.js';
import { argMax } from '../stats/rank.js';
import { median } from './epochs.support.js';
import { pythonWith, startPython } from './python.support.js';

const [items, each, annotators, classes, rounds, repetitions] = [20_000, 5, 200, 10, 20, 5];

/** People who are right with a chance of 0.3 to 0.9 of their own, and else often give the next class. */
function answers() {
  const random = createRandom(1);
  const skill = Float64Array.from({ length: annotators }, () => 0.3 + 0.6 * random.uniform());
  const item = Int32Array.from({ length: items * each }, (_, at) => Math.floor(at / each));
  const truth = Int32Array.from({ length: items }, () => Math.floor(random.uniform() ** 1.5 * classes));
  const annotator = item.map(() => random.below(annotators));
  const label = item.map((i, at) => {
    if (random.uniform() < skill[annotator[at]!]!) return truth[i]!;
    return random.uniform() < 0.5 ? (truth[i]! + 1) % classes : random.below(classes);
  });
  return { items, annotators, classes, item, annotator, label };
}

/** `fit` answers with the seconds of one fit, `likelihood` with that of its parameters, `same` with the share of our labels. */
const program = (folder: string) => `
import sys, time, numpy, pandas
from crowdkit.aggregation import DawidSkene
read = lambda name: numpy.fromfile('${folder}/' + name, dtype=numpy.int32)
data = pandas.DataFrame({'task': read('item'), 'worker': read('annotator'), 'label': read('label')})
for line in sys.stdin:
    if line.strip() == 'fit':
        began = time.perf_counter()
        model = DawidSkene(n_iter=${rounds}, tol=-1e9).fit(data)
        print(time.perf_counter() - began, flush=True)
    elif line.strip() == 'likelihood':
        errors = numpy.zeros((${annotators}, ${classes}, ${classes}))
        who = model.errors_.index.get_level_values('worker'), model.errors_.index.get_level_values('label')
        errors[who[0], who[1]] = model.errors_[list(range(${classes}))].to_numpy()
        logs = numpy.tile(numpy.log(model.priors_[list(range(${classes}))].to_numpy()), (${items}, 1))
        numpy.add.at(logs, data['task'].to_numpy(), numpy.log(errors[data['worker'], data['label']]))
        top = logs.max(axis=1, keepdims=True)
        print((top[:, 0] + numpy.log(numpy.exp(logs - top).sum(axis=1))).sum(), flush=True)
    else:
        print((model.labels_.sort_index().to_numpy() == read('ours')).mean(), flush=True)
`;

const requirements = ['crowd-kit==1.4.2', 'numpy==1.26.4', 'pandas==2.3.3'];

export async function bench() {
  const data = answers();
  // the parameters of round n + 1 are those of crowd-kit after n
  const options = { iterations: rounds + 1, tolerance: -Infinity, floor: 1e-10 };
  const folder = mkdtempSync(join(tmpdir(), 'dawid-skene-'));
  for (const name of ['item', 'annotator', 'label'] as const) writeFileSync(join(folder, name), data[name]);
  const python = await pythonWith('crowd-kit-1.4.2', requirements);
  if (typeof python !== 'string') console.error(`without crowd-kit: ${python.reason}`);
  const peer = typeof python === 'string' ? startPython(python, program(folder)) : null;
  try {
    const [mine, theirs]: [number[], number[]] = [[], []];
    let found = dawidSkene(data, options);
    for (let i = 0; i <= repetitions; i += 1) {
      const start = performance.now();
      found = dawidSkene(data, options);
      mine.push((performance.now() - start) / 1000);
      if (peer) theirs.push(await peer.ask('fit'));
    }
    const ours = median(mine.slice(1));
    const result = { ours, unit: 's', runs: repetitions };
    if (!peer) return { ...result, peer: null, ratio: null };
    writeFileSync(
      join(folder, 'ours'),
      Int32Array.from({ length: items }, (_, i) => argMax(found.posteriors, i * classes, classes)),
    );
    const [likelihood, same] = [await peer.ask('likelihood'), await peer.ask('same')];
    console.error(
      `log-likelihood ${found.logLikelihood}, crowd-kit ${likelihood}; the same label on ${same} of the items`,
    );
    if (Math.abs(found.logLikelihood / likelihood - 1) > 1e-6) throw new Error('the log-likelihoods differ');
    if (same < 0.999) throw new Error('the labels differ');
    return { ...result, peer: median(theirs.slice(1)), ratio: median(theirs.slice(1)) / ours };
  } finally {
    peer?.end();
    rmSync(folder, { recursive: true });
  }
}

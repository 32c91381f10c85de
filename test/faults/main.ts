// `npm run test:faults [-- --only <step>] [--process <name>] [--from <step>] [--trainer <type>]`: every pair of the matrix with
// each of the trainers named (`linear`; `all`: every one in the steps that depend on it), one system per step.
// Prints a line per pair, a table, and one JSON line; ends with 1 when a pair failed.
import { killPair, type Outcome } from './kill.js';
import { type Pair, pairs, type Step, steps } from './matrix.js';
import type { TrainerType } from '../../domain/model.js';
import { openScene, undisturbed, sceneTrainers } from './scene.js';

function option(name: string): string | null {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? null : (process.argv[at + 1] ?? '');
}

/** What the options ask for. Throws when that is nothing. */
function chosen(): Pair[] {
  const [only, name, from] = [option('only'), option('process'), option('from')];
  const first = from === null ? 0 : steps.indexOf(from as Step);
  const found = pairs.filter(
    (pair) =>
      first >= 0 &&
      steps.indexOf(pair.step) >= first &&
      (only === null || only.split(',').includes(pair.step)) &&
      (name === null || name.split(',').includes(pair.process)),
  );
  if (found.length === 0) throw new Error('no such pair: --only <step>, --process <name>, --from <step>');
  return found;
}

/** Steps that do something else with another trainer. */
const ofTrainer: readonly Step[] = ['train', 'package'];

function chosenTrainers(): TrainerType[] {
  const named = option('trainer') ?? 'linear';
  const found = named === 'all' ? [...sceneTrainers] : sceneTrainers.filter((type) => named.split(',').includes(type));
  if (found.length === 0) throw new Error(`no such trainer: --trainer ${sceneTrainers.join(', ')} or all`);
  return found;
}

function quantile(values: number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null;
}

function lineOf({ step, process: name, broken, recoverySeconds, resumedSeconds, seconds, trained }: Outcome): string {
  const word = broken.length === 0 ? 'ok    ' : 'FAILED';
  const recovery = recoverySeconds === null ? '  –   ' : `${recoverySeconds.toFixed(1).padStart(4)} s`;
  const resumed =
    step === 'train' && trained
      ? `, trains again after ${resumedSeconds?.toFixed(1) ?? '–'} s from step ${trained.resumedFrom} of ${trained.steps}, ${trained.again} done again`
      : '';
  const why = broken.length === 0 ? '' : `\n    ${broken.join('\n    ')}`;
  return `${word} ${`${name}@${step}`.padEnd(19)} recovered in ${recovery}, ${seconds.toFixed(1).padStart(4)} s in all${resumed}${why}`;
}

function table(outcomes: Outcome[]): string {
  const names = [...new Set(outcomes.map(({ process: name }) => name))];
  const cell = (step: Step, name: string) => {
    const found = outcomes.find((one) => one.step === step && one.process === name);
    if (!found) return '';
    return found.broken.length > 0 ? 'FAILED' : `${(found.recoverySeconds ?? 0).toFixed(1)} s`;
  };
  const rows = steps
    .filter((step) => outcomes.some((one) => one.step === step))
    .map((step) => [step, ...names.map((name) => cell(step, name))]);
  return [['', ...names], ...rows]
    .map((row) =>
      row
        .map((text) => text.padEnd(10))
        .join(' ')
        .trimEnd(),
    )
    .join('\n');
}

/** All pairs with one trainer, whose undisturbed bytes are the measure. */
async function killAll(
  trainer: TrainerType,
  wanted: Pair[],
): Promise<{ outcomes: Outcome[]; reference: string | null }> {
  let reference: string | null = null;
  const outcomes: Outcome[] = [];
  for (const step of steps) {
    const own = wanted.filter((pair) => pair.step === step);
    if (own.length === 0) continue;
    const scene = await openScene(step, trainer);
    try {
      if (reference === null) console.log(`${trainer}, undisturbed: ${(reference = await undisturbed(scene))}`);
      for (const pair of own) {
        const outcome = await killPair(scene, pair, reference);
        outcomes.push(outcome);
        console.log(lineOf(outcome));
      }
    } finally {
      await scene.system.stop();
    }
  }
  console.log(`\n${table(outcomes)}\n`);
  return { outcomes, reference };
}

async function main(): Promise<number> {
  const wanted = chosen();
  const startedAt = performance.now();
  const references: Partial<Record<TrainerType, string | null>> = {};
  const outcomes: Outcome[] = [];
  for (const trainer of chosenTrainers()) {
    const all = trainer === 'linear' || option('only') !== null;
    const own = await killAll(trainer, all ? wanted : wanted.filter(({ step }) => ofTrainer.includes(step)));
    outcomes.push(...own.outcomes);
    references[trainer] = own.reference;
  }
  const failed = outcomes.filter(({ broken }) => broken.length > 0);
  const whole = outcomes.filter(({ broken }) => broken.length === 0);
  const spread = (values: (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return { p50: quantile(known, 0.5), p95: quantile(known, 0.95), worst: quantile(known, 1) };
  };
  const summary = {
    pairs: outcomes.length,
    failed: failed.map(({ trainer, step, process: name }) => `${name}@${step} with ${trainer}`),
    recoverySeconds: spread(whole.map(({ recoverySeconds }) => recoverySeconds)),
    resumedSeconds: {
      trainer: spread(whole.map(({ process: name, resumedSeconds }) => (name === 'trainer' ? resumedSeconds : null))),
      worker: spread(whole.map(({ process: name, resumedSeconds }) => (name === 'gpu' ? resumedSeconds : null))),
    },
    doneAgain: quantile(
      whole.flatMap(({ trained }) => (trained ? [trained.again] : [])),
      1,
    ),
    seconds: Math.round((performance.now() - startedAt) / 1000),
    references,
  };
  console.log(JSON.stringify(summary));
  return failed.length === 0 ? 0 : 1;
}

process.exit(await main());

// `npm run test:faults [-- --only <step>] [--process <name>] [--from <step>]`: every pair of the matrix, one system per step.
// Prints a line per pair, a table, and one JSON line; ends with 1 when a pair failed.
import { killPair, type Outcome } from './kill.js';
import { type Pair, pairs, type Step, steps } from './matrix.js';
import { openScene, undisturbed } from './scene.js';

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

function quantile(values: number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null;
}

function lineOf({ step, process: name, broken, recoverySeconds, seconds, trained }: Outcome): string {
  const word = broken.length === 0 ? 'ok    ' : 'FAILED';
  const recovery = recoverySeconds === null ? '  –   ' : `${recoverySeconds.toFixed(1).padStart(4)} s`;
  const resumed = step === 'train' && trained ? `, from step ${trained.resumedFrom} of ${trained.steps}` : '';
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

async function main(): Promise<number> {
  const wanted = chosen();
  const startedAt = performance.now();
  let reference: string | null = null;
  const outcomes: Outcome[] = [];
  for (const step of steps) {
    const own = wanted.filter((pair) => pair.step === step);
    if (own.length === 0) continue;
    const scene = await openScene(step);
    try {
      if (reference === null) console.log(`undisturbed: ${(reference = await undisturbed(scene))}`);
      for (const pair of own) {
        const outcome = await killPair(scene, pair, reference);
        outcomes.push(outcome);
        console.log(lineOf(outcome));
      }
    } finally {
      await scene.system.stop();
    }
  }
  const failed = outcomes.filter(({ broken }) => broken.length > 0);
  const recovery = outcomes.flatMap(({ recoverySeconds, broken }) =>
    broken.length > 0 ? [] : (recoverySeconds ?? []),
  );
  console.log(`\n${table(outcomes)}\n`);
  const summary = {
    pairs: outcomes.length,
    failed: failed.map(({ step, process: name }) => `${name}@${step}`),
    recoverySeconds: { p50: quantile(recovery, 0.5), p95: quantile(recovery, 0.95), worst: quantile(recovery, 1) },
    seconds: Math.round((performance.now() - startedAt) / 1000),
    reference,
  };
  console.log(JSON.stringify(summary));
  return failed.length === 0 ? 0 : 1;
}

process.exit(await main());

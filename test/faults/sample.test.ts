// A seeded sample of the fault matrix (`npm run test:faults` runs all of it): the trainer during `train`, and one of each of
// Postgres, Temporal, a worker and the API, two to a system. PERENNIAL_TEST_SEED repeats a sample.
import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../stats/prng.js';
import { killPair } from './kill.js';
import { type Pair, type Step, steps, type Victim } from './matrix.js';
import { openScene, undisturbed } from './scene.js';

const seed = Number(process.env['PERENNIAL_TEST_SEED'] ?? randomInt(1_000_000));

/** Steps and their victims: `train` with its child and a service, two further steps with two processes each. */
function draw(): Map<Step, Victim[]> {
  const random = createRandom(seed);
  const others = steps.filter((step) => step !== 'train');
  const [first] = others.splice(random.below(others.length), 1);
  const [second] = others.splice(random.below(others.length), 1);
  const worker = (['flow', 'cpu', 'gpu'] as const)[random.below(3)] ?? 'flow';
  const rest: Victim[] = ['postgres', 'temporal', worker, 'api'];
  const drawn = rest.map((victim) => ({ victim, order: random.uniform() })).sort((a, b) => a.order - b.order);
  const [a, b, c, d] = drawn.map(({ victim }) => victim) as [Victim, Victim, Victim, Victim];
  return new Map<Step, Victim[]>([
    ['train', ['trainer', a]],
    [first ?? 'extract', [b]],
    [second ?? 'release', [c, d]],
  ]);
}

const sample = draw();
let reference = '';

beforeAll(async () => {
  console.log(
    `seed ${seed} (PERENNIAL_TEST_SEED): ${[...sample].map(([step, names]) => `${names.join(', ')} in ${step}`).join('; ')}`,
  );
  reference = await undisturbed();
});

describe('a killed process changes nothing', () => {
  for (const [step, victims] of sample) {
    test(`${victims.join(' and ')} in ${step}`, { timeout: 400_000 }, async () => {
      const scene = await openScene(step);
      try {
        for (const process of victims) {
          const pair: Pair = { step, process };
          const { broken } = await killPair(scene, pair, reference);
          expect(broken, `${process}@${step}`).toEqual([]);
        }
      } finally {
        await scene.system.stop();
      }
    });
  }
});

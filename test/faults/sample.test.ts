// A seeded sample of the fault matrix (`npm run test:faults` runs all of it): the trainer during `train`, and one of each of
// Postgres, Temporal, a worker and the API, in two systems. PERENNIAL_TEST_SEED repeats a sample.
import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../stats/prng.js';
import type { TrainerType } from '../../domain/model.js';
import { killPair } from './kill.js';
import { type Pair, type Step, steps, type Victim } from './matrix.js';
import { openScene, undisturbed, sceneTrainers } from './scene.js';

const seed = Number(process.env['PERENNIAL_TEST_SEED'] ?? randomInt(1_000_000));

/** `train` with its child and a service, one further step with the three other processes. */
function draw(): { trainer: TrainerType; victims: Map<Step, Victim[]> } {
  const random = createRandom(seed);
  const others = steps.filter((step) => step !== 'train');
  const step = others[random.below(others.length)] ?? 'extract';
  const worker = (['flow', 'cpu', 'gpu'] as const)[random.below(3)] ?? 'flow';
  const rest: Victim[] = ['postgres', 'temporal', worker, 'api'];
  const [beside] = rest.splice(random.below(rest.length), 1);
  return {
    // the trainer that is killed is another one with each seed
    trainer: sceneTrainers[random.below(sceneTrainers.length)] ?? 'linear',
    victims: new Map<Step, Victim[]>([
      ['train', ['trainer', beside ?? 'api']],
      [step, rest],
    ]),
  };
}

const { trainer, victims: sample } = draw();
console.log(
  `seed ${seed} (PERENNIAL_TEST_SEED): ${trainer}; ${[...sample].map(([step, names]) => `${names.join(', ')} in ${step}`).join('; ')}`,
);
let reference: string | null = null;

describe('a killed process changes nothing', () => {
  for (const [step, victims] of sample) {
    test(`${victims.join(' and ')} in ${step}`, { timeout: 400_000 }, async () => {
      const scene = await openScene(step, trainer);
      try {
        reference ??= await undisturbed(scene);
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

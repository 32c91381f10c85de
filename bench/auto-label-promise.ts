// Whether automatic labels keep their promise: the share of 400 campaigns whose true error rate exceeds r = 5 % although
// it was shown at δ = 5 %, the worst of three sizes of the sample; beside it the plain rule "the largest set with at most
// 5 % errors in the sample". The model keeps its word: confidence uniform in [0.5, 1], so above t it errs by (1 - t) / 2.
import { autoLabelThreshold } from '../stats/auto-label.js';
import { createRandom, type Random } from '../stats/prng.js';

const [campaigns, poolSize, rate, delta] = [400, 20_000, 0.05, 0.05];

/** Rows of the sample, and the mean coverage that another program measured in 1,000 campaigns; 0.2 would be the best. */
const sizes = [
  { rows: 1000, reference: 0.027 },
  { rows: 5000, reference: 0.116 },
  { rows: 20_000, reference: 0.161 },
];

function confidences(random: Random, rows: number): Float64Array {
  return Float64Array.from({ length: rows }, () => 0.5 + random.uniform() / 2);
}

/** The lowest confidence from which on the sample itself has at most the rate of errors; null without. */
function plainThreshold(sample: Float64Array, wrong: Uint8Array): number | null {
  const order = [...sample.keys()].sort((a, b) => sample[b]! - sample[a]!);
  let [errors, lowest]: [number, number | null] = [0, null];
  order.forEach((row, rank) => {
    errors += wrong[row]!;
    if (errors <= rate * (rank + 1)) lowest = sample[row]!;
  });
  return lowest;
}

const breaks = (threshold: number | null): boolean => threshold !== null && (1 - threshold) / 2 > rate;

export function bench() {
  let [ours, plain] = [0, 0];
  for (const { rows, reference } of sizes) {
    let [broken, plainBroken, covered] = [0, 0, 0];
    for (let campaign = 0; campaign < campaigns; campaign += 1) {
      const random = createRandom(rows + campaign * 100_003);
      const pool = confidences(random, poolSize);
      const sample = confidences(random, rows);
      const wrong = Uint8Array.from(sample, (confidence) => (random.uniform() < confidence ? 0 : 1));
      const { threshold, coverage } = autoLabelThreshold({ pool, confidences: sample, wrong, rate, delta });
      if (breaks(threshold)) broken += 1;
      if (breaks(plainThreshold(sample, wrong))) plainBroken += 1;
      covered += coverage / campaigns;
    }
    const share = broken / campaigns;
    console.error(
      `${rows} rows: ${share} broken, coverage ${covered.toFixed(3)} (reference ${reference}); the plain rule ${plainBroken / campaigns}`,
    );
    if (share > delta) throw new Error(`the promise is broken in ${share} of the campaigns`);
    if (covered < 0.8 * reference) throw new Error(`only ${covered} of the pool is labelled`);
    [ours, plain] = [Math.max(ours, share), Math.max(plain, plainBroken / campaigns)];
  }
  return Promise.resolve({ ours, peer: plain, ratio: ours / plain, unit: 'of campaigns over r', runs: campaigns });
}

// One temperature for all logits, so that probabilities keep their word (Guo, Pleiss, Sun & Weinberger 2017, arXiv
// 1706.04599). Classes are indexes, 0 to classes - 1; matrices are row-major, rows x classes.

/** Temperatures that are looked at. */
const [coldest, hottest] = [0.05, 20];

function sizes(truth: ArrayLike<number>, values: ArrayLike<number>, classes: number): number {
  if (values.length !== truth.length * classes) {
    throw new RangeError(`${values.length} values for ${truth.length} rows of ${classes} classes`);
  }
  return truth.length;
}

/** Softmax of one row of logits times `beta`, into `into`; answers -ln of the probability of class `label`. */
function softmaxLoss(logits: ArrayLike<number>, row: number, beta: number, label: number, into: Float64Array): number {
  const classes = into.length;
  const start = row * classes;
  let top = -Infinity;
  for (let c = 0; c < classes; c += 1) top = Math.max(top, beta * (logits[start + c] ?? NaN));
  let sum = 0;
  for (let c = 0; c < classes; c += 1) sum += into[c] = Math.exp(beta * (logits[start + c] ?? NaN) - top);
  for (let c = 0; c < classes; c += 1) into[c] = (into[c] ?? 0) / sum;
  return Math.log(sum) + top - beta * (logits[start + label] ?? NaN);
}

/** Mean of -ln softmax(logits / temperature) at the labels, in nats; NaN without rows. */
export function temperedLoss(
  logits: ArrayLike<number>,
  truth: ArrayLike<number>,
  classes: number,
  temperature: number,
): number {
  const rows = sizes(truth, logits, classes);
  const row = new Float64Array(classes);
  let sum = 0;
  for (let i = 0; i < rows; i += 1) sum += softmaxLoss(logits, i, 1 / temperature, truth[i] ?? 0, row);
  return rows === 0 ? NaN : sum / rows;
}

/** Mean of (expected logit minus the label's): the derivative of the loss by 1 / temperature, which only rises. */
function slope(logits: ArrayLike<number>, truth: ArrayLike<number>, classes: number, beta: number): number {
  const row = new Float64Array(classes);
  let sum = 0;
  for (let i = 0; i < truth.length; i += 1) {
    softmaxLoss(logits, i, beta, truth[i] ?? 0, row);
    for (let c = 0; c < classes; c += 1) sum += (row[c] ?? 0) * (logits[i * classes + c] ?? NaN);
    sum -= logits[i * classes + (truth[i] ?? 0)] ?? NaN;
  }
  return sum / truth.length;
}

/**
 * The temperature from 0.05 to 20 with the least summed loss of softmax(logits / temperature), by bisection over its
 * logarithm, to six digits; 1 without rows or where a logit is no number. With `prior` that sum has prior · (β - 1 - ln β)
 * added, β = 1 / temperature: minus the logarithm of a Gamma density with its mode at 1. Few rows without an error would
 * want T → 0, as any separable data do; the prior holds them near 1 and means little among many.
 */
export function fitTemperature(
  logits: ArrayLike<number>,
  truth: ArrayLike<number>,
  { classes, prior = 0 }: { classes: number; prior?: number },
): number {
  const rows = sizes(truth, logits, classes);
  if (rows === 0 || !Number.isFinite(slope(logits, truth, classes, 1))) return 1;
  let [low, high] = [Math.log(1 / hottest), Math.log(1 / coldest)];
  for (let round = 0; round < 40; round += 1) {
    const middle = (low + high) / 2;
    const beta = Math.exp(middle);
    // both terms only rise with β, so the root is the one minimum
    if (rows * slope(logits, truth, classes, beta) + prior * (1 - 1 / beta) < 0) low = middle;
    else high = middle;
  }
  return Number(Math.exp(-(low + high) / 2).toPrecision(6));
}

/** The probabilities that a model would have given at temperature 1, from those it gave at `temperature`. */
export function withoutTemperature(
  probabilities: ArrayLike<number>,
  classes: number,
  temperature: number,
): Float64Array {
  const logits = Float64Array.from(probabilities, (p) => Math.log(p));
  const all = new Float64Array(logits.length);
  const row = new Float64Array(classes);
  for (let start = 0; start < all.length; start += classes) {
    softmaxLoss(logits, start / classes, temperature, 0, row);
    all.set(row, start);
  }
  return all;
}

/** Mean over rows of the squared distance to the label's corner, summed over classes (Brier 1950), in [0, 2]; NaN without rows. */
export function brierScore(truth: ArrayLike<number>, probabilities: ArrayLike<number>, classes: number): number {
  const rows = sizes(truth, probabilities, classes);
  let sum = 0;
  for (let i = 0; i < rows; i += 1) {
    for (let c = 0; c < classes; c += 1) {
      sum += ((probabilities[i * classes + c] ?? NaN) - (truth[i] === c ? 1 : 0)) ** 2;
    }
  }
  return rows === 0 ? NaN : sum / rows;
}

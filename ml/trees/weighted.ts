// An objective whose rows count by weights: both derivatives and the loss of each row are multiplied. `minRows` counts rows
// all the same, whatever they weigh.
import type { Gradients } from './histogram.js';
import { hessianUnit } from './histogram.js';
import type { Objective } from './objective.js';

/** The largest second derivative of a row: 1 of squares, below 0.5 of the others. */
const [largestFlat, largest] = [1, 0.5];

/** Above hessianUnit by a power of two, so that the largest derivative of the heaviest row is at most 2^21 units (histogram.ts). */
function unitFor(plain: Objective, weights: Float32Array): number {
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  const most = heaviest * (plain.flat ? largestFlat : largest);
  return hessianUnit * 2 ** Math.max(0, Math.ceil(Math.log2(most / largest)));
}

/** `loss` is that of rows without weights, as those of the validation part. */
export function weighted(plain: Objective, weights: Float32Array): Objective {
  const unit = unitFor(plain, weights);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const factor = plain.unit / unit;
  const multiply = ({ g, h }: Gradients): void => {
    for (let row = 0; row < weights.length; row++) {
      const weight = weights[row]!;
      g[row]! *= weight;
      h[row] = Math.round((plain.flat ? 1 : h[row]!) * weight * factor);
    }
  };
  return {
    ...{ ...plain, flat: false, unit },
    begin(y, scores, into) {
      const { next } = plain.begin(y, scores, into);
      const loss = weights.reduce((sum, weight, row) => sum + weight * plain.lossOf(y, scores, row), 0) / total;
      const nextWeighted = (output: number): void => {
        next(output);
        multiply(into);
      };
      return { loss, next: nextWeighted };
    },
  };
}

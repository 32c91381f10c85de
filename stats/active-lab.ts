// Ask again about a labelled item, or about a new one? One score for both, the lowest first (ActiveLab: Goh & Mueller
// 2023, arXiv 2301.11856), with the weights of CROWDLAB; as cleanlab 2.9's `get_active_learning_scores`.
import type { Answers } from './answers.js';
import type { Crowd } from './crowdlab.js';
import { rowsOf } from './matrix.js';
import { argMax } from './rank.js';

type Weights = Pick<Crowd, 'annotatorWeights' | 'modelWeight'>;

function meanWeight({ annotatorWeights }: Weights): number {
  return annotatorWeights.reduce((sum, weight) => sum + weight, 0) / annotatorWeights.length;
}

/** Of each item with answers how sure its consensus is, in [0, 1], drawn towards 1/K by the weight of one more answer. */
export function labelledScores(answers: Answers, crowd: Weights & Pick<Crowd, 'quality'>): Float64Array {
  const { items, classes, item, annotator } = answers;
  const one = meanWeight(crowd);
  const weights = new Float64Array(items).fill(crowd.modelWeight);
  for (let at = 0; at < item.length; at += 1) weights[item[at]!]! += crowd.annotatorWeights[annotator[at]!]!;
  return weights.map((weight, i) => (weight * crowd.quality[i]! + one / classes) / (weight + one));
}

/**
 * The same of items without answers: `probabilities` are the model's, row-major, items x classes.
 * @throws RangeError where these are no whole rows
 */
export function unlabelledScores(probabilities: ArrayLike<number>, classes: number, crowd: Weights): Float64Array {
  const one = meanWeight(crowd);
  return Float64Array.from({ length: rowsOf(probabilities, classes) }, (_, i) => {
    const most = probabilities[i * classes + argMax(probabilities, i * classes, classes)]!;
    return (crowd.modelWeight * most + one / classes) / (crowd.modelWeight + one);
  });
}

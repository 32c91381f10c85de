// The label of each item from people's answers and a model's probabilities together, each weighted by how often it
// agrees. CROWDLAB: Goh et al. 2022, arXiv 2210.06812, in the order of steps of cleanlab 2.9's `multiannotator`.
import { type Answers, type AnswersByItem, byItem, voteCounts } from './answers.js';
import { rowsOf } from './matrix.js';
import { argMax } from './rank.js';

export interface Crowd {
  /** Of each item its most likely class by the weights that the majority gives. */
  consensus: Int32Array;
  /** Of each item the final posterior of its consensus, in [0, 1]; not always the largest one, but then a low one. */
  quality: Float64Array;
  /** Row-major, items x classes. */
  posteriors: Float64Array;
  /** Of each annotator the weight against the others, > 0. */
  annotatorWeights: Float64Array;
  modelWeight: number;
}

/** Least weight and least error that is divided by. */
const least = 1e-6;

interface Votes extends AnswersByItem {
  items: number;
  annotators: number;
  classes: number;
  /** items x classes. */
  counts: Float64Array;
  /** Out of sample, items x classes. */
  model: ArrayLike<number>;
}

const answersOf = ({ start }: AnswersByItem, i: number): number => start[i + 1]! - start[i]!;

/** The most frequent answer; of equals the one the model prefers, then the class answered more rarely, then the lowest. */
function majority({ items, classes, counts, model }: Votes): Int32Array {
  const all = new Float64Array(classes);
  for (let at = 0; at < counts.length; at += 1) all[at % classes]! += counts[at]!;
  return Int32Array.from({ length: items }, (_, i) => {
    let best = 0;
    for (let k = 1; k < classes; k += 1) {
      const [a, b] = [i * classes + k, i * classes + best];
      if ((counts[a]! - counts[b]! || model[a]! - model[b]! || all[best]! - all[k]!) > 0) best = k;
    }
    return best;
  });
}

/** Share of each annotator's co-annotators who agree, over all items; the mean of the others where there is no one. */
function agreements({ items, annotators, classes, counts, start, annotator, label }: Votes): Float64Array {
  const [same, others] = [new Float64Array(annotators), new Float64Array(annotators)];
  for (let i = 0; i < items; i += 1) {
    for (let at = start[i]!; at < start[i + 1]!; at += 1) {
      same[annotator[at]!]! += counts[i * classes + label[at]!]! - 1;
      others[annotator[at]!]! += start[i + 1]! - start[i]! - 1;
    }
  }
  const known = same.filter((_, j) => others[j]! > 0).length;
  const sum = same.reduce((total, agreed, j) => total + (others[j]! > 0 ? agreed / others[j]! : 0), 0);
  return same.map((agreed, j) => (others[j]! > 0 ? agreed / others[j]! : sum / known));
}

type Weights = Pick<Crowd, 'annotatorWeights' | 'modelWeight'> & { likelihood: number };

/** Over the items with several answers: weights of people and model, and how likely an answer is the consensus. */
function weigh(votes: Votes, consensus: Int32Array): Weights {
  const { items, classes, counts, model, annotator } = votes;
  const shared = Array.from({ length: items }, (_, i) => i).filter((i) => answersOf(votes, i) > 1);
  const frequency = new Float64Array(classes);
  let [agreed, wrong] = [0, 0];
  for (const i of shared) {
    const own = consensus[i]!;
    frequency[own]! += 1;
    agreed += counts[i * classes + own]! / answersOf(votes, i);
    if (argMax(model, i * classes, classes) !== own) wrong += 1;
  }
  const n = shared.length;
  const baseError = Math.max(least, 1 - frequency[argMax(frequency)]! / n);
  const weight = (error: number): number => Math.max(least, 1 - error / baseError);
  return {
    likelihood: agreed / n,
    annotatorWeights: agreements(votes).map((agreement) => weight(1 - agreement)),
    modelWeight: weight(wrong / n) * Math.sqrt(annotator.length / items),
  };
}

/** The weighted mean of the model's probabilities and of what each answer says by itself. */
function posteriorsOf(votes: Votes, { likelihood, annotatorWeights, modelWeight }: Weights): Float64Array {
  const { items, classes, model, start, annotator, label } = votes;
  const other = (1 - likelihood) / (classes - 1);
  const posteriors = Float64Array.from(model, (p) => modelWeight * p);
  for (let i = 0; i < items; i += 1) {
    let total = modelWeight;
    for (let at = start[i]!; at < start[i + 1]!; at += 1) {
      const weight = annotatorWeights[annotator[at]!]!;
      total += weight;
      for (let k = 0; k < classes; k += 1) {
        posteriors[i * classes + k]! += weight * (label[at] === k ? likelihood : other);
      }
    }
    for (let k = 0; k < classes; k += 1) posteriors[i * classes + k]! /= total;
  }
  return posteriors;
}

/** The class with the largest posterior; of equals the one that `instead` names. */
function best(posteriors: Float64Array, classes: number, instead: Int32Array): Int32Array {
  return instead.map((fallback, i) => {
    const row = posteriors.subarray(i * classes, (i + 1) * classes);
    const top = argMax(row);
    return row.filter((p) => p === row[top]).length === 1 ? top : fallback;
  });
}

/**
 * `probabilities`: the model's, out of sample, row-major, items x classes. The majority gives weights, these a consensus,
 * and that the final weights and posteriors. Where no item has two answers nobody can be weighed: all weights are 1, the
 * answer is the consensus and the model's probability of it the quality.
 * @throws RangeError as `byItem`; for an item without an answer, fewer than two classes or probabilities that do not fit
 */
export function crowdlab(answers: Answers, probabilities: ArrayLike<number>): Crowd {
  const { items, annotators, classes } = answers;
  if (classes < 2) throw new RangeError(`${classes} classes: nothing to decide`);
  if (rowsOf(probabilities, classes) !== items) {
    throw new RangeError(`probabilities of ${probabilities.length / classes} items for ${items}`);
  }
  const counts = voteCounts(answers);
  const votes: Votes = { ...byItem(answers), items, annotators, classes, counts, model: probabilities };
  const sizes = Array.from({ length: items }, (_, i) => answersOf(votes, i));
  const bare = sizes.indexOf(0);
  if (bare >= 0) throw new RangeError(`item ${bare} has no answer`);
  let consensus = majority(votes);
  const quality = (posteriors: ArrayLike<number>) =>
    Float64Array.from(consensus, (label, i) => posteriors[i * classes + label]!);
  if (sizes.every((size) => size === 1)) {
    const posteriors = Float64Array.from(probabilities);
    const annotatorWeights = new Float64Array(annotators).fill(1);
    return { consensus, quality: quality(posteriors), posteriors, annotatorWeights, modelWeight: 1 };
  }
  consensus = best(posteriorsOf(votes, weigh(votes, consensus)), classes, consensus);
  const weights = weigh(votes, consensus);
  const posteriors = posteriorsOf(votes, weights);
  const { annotatorWeights, modelWeight } = weights;
  return { consensus, quality: quality(posteriors), posteriors, annotatorWeights, modelWeight };
}

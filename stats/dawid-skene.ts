// The label behind several people's answers and how each of them errs, both at once by expectation maximisation
// (Dawid & Skene 1979, Applied Statistics 28(1)). Options as in crowd-kit's `DawidSkene`.
import { type Answers, byItem } from './answers.js';

export interface DawidSkeneOptions {
  /** Rounds at most, at least one; default 100. */
  iterations?: number;
  /** Ends after a round in which `history` rises by less than this for each answer; default 1e-5. -Infinity: all rounds. */
  tolerance?: number;
  /** β ≥ 0 of a Dirichlet(1 + β) on each row of errors and on the prior; default 0, the plain likelihood. */
  smoothing?: number;
  /** Of each item its known class, or -1; these are held fixed. */
  gold?: ArrayLike<number>;
  /** Least summed weight of a label that an annotator has given, before rows are scaled; default 0, crowd-kit has 1e-10. */
  floor?: number;
}

export interface DawidSkene {
  /** P(class | answers), row-major, items x classes; the prior for an item without answers. */
  posteriors: Float64Array;
  /** Share of each class. */
  prior: Float64Array;
  /** P(given label | annotator, true class): annotators x true x given; a row of zeros where nothing speaks of it. */
  errors: Float64Array;
  /** ln P(answers | prior, errors) in nats, of items with a known class together with it. */
  logLikelihood: number;
  /** After each round the log-likelihood, plus β Σ ln of errors and prior where they are smoothed; it never falls (floor 0). */
  history: number[];
}

/** What the rounds work on. Cells are annotator x given x true, so that one answer's K numbers lie side by side. */
interface State {
  items: number;
  classes: number;
  start: Uint32Array;
  /** Of each answer the place of its first number in `counts`. */
  cell: Uint32Array;
  gold: ArrayLike<number> | undefined;
  posteriors: Float64Array;
  /** Summed posteriors of each cell and of each class. */
  counts: Float64Array;
  classMass: Float64Array;
}

function prepare(answers: Answers, gold: ArrayLike<number> | undefined): State {
  const { items, annotators, classes } = answers;
  const { start, annotator, label } = byItem(answers);
  if (gold && gold.length !== items) throw new RangeError(`${gold.length} known classes for ${items} items`);
  const cell = new Uint32Array(annotator.length);
  for (let at = 0; at < cell.length; at += 1) cell[at] = (annotator[at]! * classes + label[at]!) * classes;
  const posteriors = new Float64Array(items * classes);
  for (let i = 0; i < items; i += 1) {
    const known = gold?.[i] ?? -1;
    if (known >= classes) throw new RangeError(`item ${i} has the known class ${known} of ${classes}`);
    if (known >= 0) posteriors[i * classes + known] = 1;
    const share = 1 / (start[i + 1]! - start[i]!);
    for (let at = start[i]!; known < 0 && at < start[i + 1]!; at += 1) posteriors[i * classes + label[at]!]! += share;
  }
  const counts = new Float64Array(annotators * classes * classes);
  return { items, classes, start, cell, gold, posteriors, counts, classMass: new Float64Array(classes) };
}

/** Adds the posteriors of item `i` to the cells of its answers; one without answers and class says nothing. */
function count({ classes, start, cell, gold, posteriors, counts, classMass }: State, i: number): void {
  const row = i * classes;
  const [from, to] = [start[i]!, start[i + 1]!];
  if (from === to && !((gold?.[i] ?? -1) >= 0)) return;
  for (let j = 0; j < classes; j += 1) classMass[j]! += posteriors[row + j]!;
  // two answers at a time: half the passes over the posteriors
  let at = from;
  for (; at + 1 < to; at += 2) {
    const [one, two] = [cell[at]!, cell[at + 1]!];
    for (let j = 0; j < classes; j += 1) {
      const share = posteriors[row + j]!;
      counts[one + j]! += share;
      counts[two + j]! += share;
    }
  }
  for (let j = 0; at < to && j < classes; j += 1) counts[cell[at]! + j]! += posteriors[row + j]!;
}

interface Parameters {
  prior: Float64Array;
  /** In the order of the cells. */
  errors: Float64Array;
  /** β Σ ln of both. */
  penalty: number;
}

/** The prior and the errors that fit the summed posteriors best. */
function maximise({ classes, counts, classMass }: State, given: Uint8Array, beta: number, floor: number): Parameters {
  const prior = classMass.map((mass) => mass + beta);
  const whole = prior.reduce((sum, mass) => sum + mass, 0);
  for (let j = 0; j < classes; j += 1) prior[j] = whole === 0 ? 1 / classes : prior[j]! / whole;
  const errors = new Float64Array(counts.length);
  const mass = new Float64Array(classes);
  const block = classes * classes;
  for (let first = 0; first < counts.length; first += block) {
    mass.fill(0);
    for (let at = first; at < first + block; at += classes) {
      const least = given[at / classes] ? floor : 0;
      for (let j = 0; j < classes; j += 1) mass[j]! += errors[at + j] = Math.max(least, counts[at + j]!) + beta;
    }
    for (let at = first; at < first + block; at += classes) {
      for (let j = 0; j < classes; j += 1) errors[at + j]! /= mass[j]! || 1;
    }
  }
  const logs = beta === 0 ? 0 : [prior, errors].flatMap((all) => [...all]).reduce((sum, p) => sum + Math.log(p), 0);
  return { prior, errors, penalty: beta * logs };
}

/** Products below this are taken again as sums of logarithms. */
const smallest = 1e-200;

/** New posteriors under the parameters, summed up for the next round at once; answers the log-likelihood. */
function expect(state: State, parameters: Parameters): number {
  const { items, classes, start, cell, gold, posteriors } = state;
  const { prior, errors } = parameters;
  state.counts.fill(0);
  state.classMass.fill(0);
  let total = 0;
  for (let i = 0; i < items; i += 1) {
    const row = i * classes;
    const to = start[i + 1]!;
    for (let j = 0; j < classes; j += 1) posteriors[row + j] = prior[j]!;
    let at = start[i]!;
    for (; at + 1 < to; at += 2) {
      const [one, two] = [cell[at]!, cell[at + 1]!];
      for (let j = 0; j < classes; j += 1) posteriors[row + j]! *= errors[one + j]! * errors[two + j]!;
    }
    for (let j = 0; at < to && j < classes; j += 1) posteriors[row + j]! *= errors[cell[at]! + j]!;
    const known = gold?.[i] ?? -1;
    let sum = 0;
    for (let j = 0; j < classes; j += 1) sum += posteriors[row + j]!;
    const mass = known < 0 ? sum : posteriors[row + known]!;
    if (mass > smallest) {
      total += Math.log(mass);
      for (let j = 0; j < classes; j += 1) posteriors[row + j]! /= sum;
    } else {
      total += byLogarithms(state, parameters, i, known);
    }
    if (known >= 0) for (let j = 0; j < classes; j += 1) posteriors[row + j] = j === known ? 1 : 0;
    count(state, i);
  }
  return total;
}

/** The posteriors of one item with more answers than a product can hold; answers its log-likelihood. */
function byLogarithms(
  { classes, start, cell, posteriors }: State,
  { prior, errors }: Parameters,
  i: number,
  known: number,
): number {
  const logs = prior.map(Math.log);
  for (let at = start[i]!; at < start[i + 1]!; at += 1) {
    for (let j = 0; j < classes; j += 1) logs[j]! += Math.log(errors[cell[at]! + j]!);
  }
  const top = logs.reduce((most, value) => Math.max(most, value), -Infinity);
  const shares = logs.map((value) => Math.exp(value - top));
  const sum = shares.reduce((all, share) => all + share, 0);
  for (let j = 0; j < classes; j += 1) posteriors[i * classes + j] = shares[j]! / sum;
  return known < 0 ? top + Math.log(sum) : logs[known]!;
}

/** From annotator x given x true to annotator x true x given. */
function byTrueClass(errors: Float64Array, classes: number): Float64Array {
  const block = classes * classes;
  return errors.map((_, at) => {
    const within = at % block;
    return errors[at - within + (within % classes) * classes + ((within / classes) | 0)]!;
  });
}

/**
 * Starts at the shares of votes; each round takes the prior and the errors that fit the posteriors best, then the
 * posteriors that follow from them. Nothing is drawn: the same answers give the same numbers. Time grows with rounds x
 * answers x classes. Without answers and known classes all classes are equally likely.
 * @throws RangeError as `byItem`, and for known classes or a smoothing that do not fit
 */
export function dawidSkene(
  answers: Answers,
  { iterations = 100, tolerance = 1e-5, smoothing = 0, gold, floor = 0 }: DawidSkeneOptions = {},
): DawidSkene {
  if (!(smoothing >= 0)) throw new RangeError(`smoothing ${smoothing} is below 0`);
  const state = prepare(answers, gold);
  const given = new Uint8Array(answers.annotators * answers.classes);
  for (const place of state.cell) given[place / answers.classes] = 1;
  for (let i = 0; i < answers.items; i += 1) count(state, i);
  const history: number[] = [];
  let parameters: Parameters;
  let logLikelihood: number;
  do {
    parameters = maximise(state, given, smoothing, floor);
    logLikelihood = expect(state, parameters);
    const objective = logLikelihood + parameters.penalty;
    const before = history.at(-1) ?? -Infinity;
    history.push(objective);
    if (objective - before < tolerance * answers.item.length) break;
  } while (history.length < iterations);
  const { prior, errors } = parameters;
  return { posteriors: state.posteriors, prior, errors: byTrueClass(errors, answers.classes), logLikelihood, history };
}

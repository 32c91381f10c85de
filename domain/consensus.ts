// What several people's answers to one item come to, and how sure that is. Between answers, item by item; when a batch
// closes, all answers are looked at together (domain/batch-answers.ts).
import { canonicalJson } from './json.js';
import { type Box, labelParts, type LabelKind, type Span } from './label-kind.js';
import type { Overlap } from './label-policy.js';

export interface GivenLabel {
  /** As `labelText` made it. */
  label: string;
  /** Chance that this person is right, 0 to 1: from gold items where there were some. */
  accuracy: number;
}

export interface Consensus {
  label: string;
  /** Probability of the label, 0 to 1; null where nothing can be said. */
  confidence: number | null;
}

/** Before anything is known about a person: as if they had had 4 of 5 gold items right. */
export const accuracyBefore = { right: 4, wrong: 1 };

export function accuracyOf(right: number, answered: number): number {
  return (right + accuracyBefore.right) / (answered + accuracyBefore.right + accuracyBefore.wrong);
}

/**
 * The posterior of each answer that was given, classes being equally likely before: a person is right with their accuracy
 * and otherwise picks each of the other classes alike (the one-coin model; Raykar et al. 2010, JMLR 11, section 2.5).
 * `classes`: how many answers there are to choose from; at least as many as were given.
 */
export function posterior(answers: readonly GivenLabel[], classes: number): Map<string, number> {
  const given = [...new Set(answers.map(({ label }) => label))].sort();
  const others = Math.max(classes, given.length, 2);
  const clipped = (accuracy: number): number => Math.min(0.999, Math.max(1e-3, accuracy));
  const logOf = (candidate: string | null): number =>
    answers.reduce((sum, { label, accuracy }) => {
      const right = clipped(accuracy);
      return sum + Math.log(label === candidate ? right : (1 - right) / (others - 1));
    }, 0);
  const logs = given.map(logOf);
  const never = logOf(null);
  const top = Math.max(never, ...logs);
  const rest = (others - given.length) * Math.exp(never - top);
  const total = logs.reduce((sum, log) => sum + Math.exp(log - top), rest);
  return new Map(given.map((label, i) => [label, Math.exp((logs[i] ?? -Infinity) - top) / total]));
}

function likeliest(answers: readonly GivenLabel[], classes: number): Consensus {
  let best: Consensus = { label: '', confidence: -1 };
  for (const [label, confidence] of posterior(answers, classes)) {
    if (confidence > (best.confidence ?? -1)) best = { label, confidence };
  }
  return best;
}

/** Of each part that somebody named, whether it is there; the confidence is that of the least sure one. */
function partwise(answers: readonly GivenLabel[]): Consensus {
  const sets = answers.map(({ label, accuracy }) => ({
    parts: new Set(labelParts<unknown>(label).map((part) => JSON.stringify(part))),
    accuracy,
  }));
  const named = [...new Set(sets.flatMap(({ parts }) => [...parts]))].sort();
  let confidence = 1;
  const kept = named.filter((part) => {
    const votes = sets.map(({ parts, accuracy }) => ({ label: parts.has(part) ? 'yes' : 'no', accuracy }));
    const { label, confidence: sure } = likeliest(votes, 2);
    confidence = Math.min(confidence, sure ?? 0);
    return label === 'yes';
  });
  return { label: `[${kept.join(',')}]`, confidence };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Overlap of two boxes: area of the intersection over the area of the union, 0 to 1. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (a.width * a.height + b.width * b.height - both);
}

const sameBox = 0.5;

/** Boxes of one class that overlap by half are one thing; it is there when most people drew it, at the median of its edges. */
function boxwise(answers: readonly GivenLabel[]): Consensus {
  const groups: { boxes: Box[]; people: Set<number> }[] = [];
  answers.forEach(({ label }, person) => {
    for (const box of labelParts<Box>(label)) {
      const fits = groups.find(
        ({ boxes, people }) =>
          !people.has(person) &&
          boxes[0]?.label === box.label &&
          boxes.some((one) => intersectionOverUnion(one, box) >= sameBox),
      );
      if (fits) {
        fits.boxes.push(box);
        fits.people.add(person);
      } else groups.push({ boxes: [box], people: new Set([person]) });
    }
  });
  let confidence = 1;
  const kept = groups.flatMap(({ boxes, people }) => {
    const votes = answers.map(({ accuracy }, person) => ({ label: people.has(person) ? 'yes' : 'no', accuracy }));
    const { label, confidence: sure } = likeliest(votes, 2);
    confidence = Math.min(confidence, sure ?? 0);
    if (label === 'no') return [];
    // one box stays what was drawn, to the last bit
    if (boxes.length === 1) return boxes;
    const left = median(boxes.map(({ x }) => x));
    const top = median(boxes.map(({ y }) => y));
    const width = median(boxes.map((box) => box.x + box.width)) - left;
    const height = median(boxes.map((box) => box.y + box.height)) - top;
    return [{ height, label: boxes[0]?.label ?? '', width, x: left, y: top }];
  });
  const texts = kept.map((box) => canonicalJson({ ...box })).sort();
  return { label: `[${texts.join(',')}]`, confidence };
}

/** The answers of one item in one: at least one answer. `classes`: how many there are to choose from; null: any text. */
export function consensusOf(kind: LabelKind, answers: readonly GivenLabel[], classes: number | null): Consensus {
  const [first] = answers;
  if (first === undefined) throw new RangeError('there is no answer to make one of');
  switch (kind) {
    case 'single':
      return likeliest(answers, classes ?? answers.length + 1);
    case 'preference':
      return likeliest(answers, 3);
    case 'multiple':
    case 'span':
      return partwise(answers);
    case 'box':
      return boxwise(answers);
    case 'number': {
      if (answers.length === 1) return { label: first.label, confidence: null };
      return { label: String(median(answers.map(({ label }) => Number(label)))), confidence: null };
    }
  }
}

/** Answers wanted after those that came: one more while they leave doubt and the cap allows it. */
export function wantedAfter({ max, confidence }: Overlap, wanted: number, found: Consensus): number {
  const doubt = found.confidence !== null && found.confidence < confidence;
  return doubt && wanted < max ? wanted + 1 : wanted;
}

/** Whether an answer to a gold item is right. Spans and boxes: one to one, boxes overlapping by half. */
export function isRight(kind: LabelKind, gold: string, label: string): boolean {
  // the data may spell a class in more than one way
  if (gold === label || gold.normalize('NFC') === label.normalize('NFC')) return true;
  if (kind === 'number') return Number(gold) === Number(label);
  if (kind !== 'box') return false;
  const [wanted, given] = [labelParts<Box>(gold), labelParts<Box>(label)];
  return (
    wanted.length === given.length &&
    labelParts<Box>(
      boxwise([
        { label: gold, accuracy: 0.8 },
        { label, accuracy: 0.8 },
      ]).label,
    ).length === wanted.length
  );
}

export type { Box, Span };

// The document's `labeling`: who is asked, how many of them, and who looks again (docs/pipeline.md).
import { dayMs, longestWait } from './duration.js';
import * as f from './fields.js';
import { type Ask, readAsk } from './label-ask.js';
import { defaultPolicy, type LabelPolicy, type Overlap, skipTargets } from './label-policy.js';
import { strategies, type Strategy } from './labeling.js';
import type { PseudoRules } from './pseudo-label.js';

export interface Labeling {
  /** Which rows: those without a label, or labelled ones again. */
  ask: Ask;
  strategy: Strategy;
  batchSize: number;
  /** Share of a batch that is drawn uniformly. */
  explore: number;
  deadlineMs: number;
  policy: LabelPolicy;
  /** What the model labels itself, for training alone; null: nothing. */
  pseudo: PseudoRules | null;
}

/** As read; null: the strategy that fits the task. */
export type ReadLabeling = Omit<Labeling, 'strategy'> & { strategy: Strategy | null };

const share = f.number({ min: 0, max: 1 });
const people = f.number({ min: 1, max: 100, integer: true });
const tests = f.number({ min: 1, max: 10_000, integer: true });
const word = f.text('a word', undefined, 200);
const words = f.list(word, { max: 100, unique: true, what: 'words' });
const text = f.text('a text of at most 20,000 letters', undefined, 20_000);

const overlapRule = f.object<{ min: number; max: number | null; confidence: number }>({
  min: f.optional(people, () => 1),
  max: f.optional<number, null>(people, () => null),
  confidence: f.optional(f.number({ above: 0, below: 1 }), () => defaultPolicy.overlap.confidence),
});

/** A number of people, or `{ min, max, confidence }`. */
const overlap: f.Read<Overlap> = (value, path, faults) => {
  if (!f.isRecord(value)) {
    const min = people(value, path, faults);
    return min === undefined ? undefined : { ...defaultPolicy.overlap, min, max: min };
  }
  const read = overlapRule(value, path, faults);
  if (!read) return undefined;
  const { min, max, confidence } = read;
  if (max === null || max >= min) return { min, max: max ?? min, confidence };
  return f.addFault(faults, f.joinPath(path, 'max'), { found: String(max), allowed: `at least min, ${min}` });
};

const example = f.object<LabelPolicy['examples'][number]>({
  label: f.required(word, 'a label'),
  item: f.required(text, 'what the item is, in words'),
  note: f.optional(text, () => ''),
});

const none = defaultPolicy;

interface WrittenPolicy {
  annotators: Overlap;
  skip: LabelPolicy['skip'];
  gold: LabelPolicy['gold'];
  requires: LabelPolicy['requires'];
  review: LabelPolicy['review'];
  suggestion: LabelPolicy['suggestion'];
  escalate: LabelPolicy['escalate'];
  instructions: string;
  examples: LabelPolicy['examples'];
}

interface WrittenStrategy {
  ask: Ask;
  strategy: Strategy | null;
  batchSize: number;
  explore: number;
  pseudo: PseudoRules | null;
}

const pseudoRules = f.object<PseudoRules>({
  maxError: f.optional(f.number({ above: 0, max: 0.5 }), () => 0.2),
  confidence: f.optional(f.number({ min: 0.5, below: 1 }), () => 0.95),
  weight: f.optional(f.number({ above: 0, max: 1 }), () => 0.3),
  perClass: f.optional(f.number({ min: 1, max: 1_000_000, integer: true }), () => 1_000),
});

/** As written: how long answers are awaited, and the policy. */
export type WrittenWait = WrittenPolicy & { deadline: number };

/** What a batch is told about people, whoever opens it. */
export const waitFields: { [K in keyof WrittenWait]: f.Field<WrittenWait[K]> } = {
  deadline: f.optional(f.duration(longestWait), () => 3 * dayMs),
  annotators: f.optional(overlap, () => none.overlap),
  skip: f.optional(
    f.object<LabelPolicy['skip']>({
      to: f.optional(f.choice(skipTargets), () => none.skip.to),
      most: f.optional(people, () => none.skip.most),
    }),
    () => none.skip,
  ),
  gold: f.optional(
    f.object<LabelPolicy['gold']>({
      share: f.optional(f.number({ min: 0, max: 0.5 }), () => none.gold.share),
      minScore: f.optional(share, () => none.gold.minScore),
      after: f.optional(tests, () => none.gold.after),
    }),
    () => none.gold,
  ),
  requires: f.optional(
    f.object<LabelPolicy['requires']>({
      skills: f.optional(words, () => []),
      languages: f.optional(words, () => []),
    }),
    () => none.requires,
  ),
  review: f.optional(
    f.object<LabelPolicy['review']>({
      share: f.optional(share, () => 1),
      self: f.optional(f.flag, () => none.review.self),
    }),
    () => none.review,
  ),
  suggestion: f.optional(f.choice(['shown', 'hidden', 'none'] as const), () => none.suggestion),
  escalate: f.optional<{ extend: number }, null>(
    f.object<{ extend: number }>({ extend: f.optional(f.number({ above: 0, max: 10 }), () => 0.5) }),
    () => null,
  ),
  instructions: f.optional(text, () => none.instructions),
  examples: f.optional(f.list(example, { max: 100, what: 'examples' }), () => none.examples),
};

/** The policy that was written. */
export function policyFrom({ annotators, deadline: _, ...rest }: WrittenWait): LabelPolicy {
  return { overlap: annotators, ...rest };
}

const written = f.object<WrittenStrategy & WrittenWait>({
  ask: f.optional<Ask>(readAsk, () => 'unlabelled'),
  strategy: f.optional<Strategy, null>(f.choice(strategies), () => null),
  batchSize: f.optional(f.number({ min: 1, max: 10_000, integer: true }), () => 60),
  explore: f.optional(share, () => 0.1),
  pseudo: f.optional<PseudoRules, null>(pseudoRules, () => null),
  ...waitFields,
});

/** `labeling` with every default but the strategy, which depends on the task. */
export const labeling: f.Read<ReadLabeling> = f.mapped(
  written,
  ({ ask, strategy, batchSize, explore, pseudo, ...wait }) => ({
    ...{ ask, strategy, batchSize, explore, pseudo, deadlineMs: wait.deadline },
    policy: policyFrom(wait),
  }),
);

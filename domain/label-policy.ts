// How a batch spends people's attention: how many answers an item gets, from whom, which are tests, who looks at them again.

export interface Overlap {
  /** Answers of different people that each item gets. */
  min: number;
  /** At most; one more is asked for while the answers leave doubt. Equal to `min`: never. */
  max: number;
  /** Probability of the answer from which on nobody else is asked, and below which a reviewer must look. */
  confidence: number;
}

export const skipTargets = ['nobody', 'others', 'self'] as const;
export type SkipTarget = (typeof skipTargets)[number];

export interface LabelPolicy {
  overlap: Overlap;
  /** Who is asked instead; `nobody`: a skip is an answer. After `most` skips the item is skipped for good. */
  skip: { to: SkipTarget; most: number };
  /** Items whose answer is known: their share of what a labeler is given; who falls below `minScore` after `after` of them is paused. */
  gold: { share: number; minScore: number; after: number };
  /** Labelers need all of these. */
  requires: { skills: string[]; languages: string[] };
  /** Share of the items that a reviewer looks at before the batch is accepted; `self`: also at their own answers. */
  review: { share: number; self: boolean };
  /** The model's guess is shown at once, on demand, or never. */
  suggestion: 'shown' | 'hidden' | 'none';
  /**
   * At the deadline, while tasks are open: `requires` falls, and the deadline moves by this share of the whole time, once.
   * Null: the batch closes with what there is.
   */
  escalate: { extend: number } | null;
  /** What labelers read first. */
  instructions: string;
  examples: { label: string; item: string; note: string }[];
}

export const defaultPolicy: LabelPolicy = {
  overlap: { min: 1, max: 1, confidence: 0.9 },
  skip: { to: 'nobody', most: 3 },
  gold: { share: 0, minScore: 0.7, after: 5 },
  requires: { skills: [], languages: [] },
  review: { share: 0, self: false },
  suggestion: 'hidden',
  escalate: null,
  instructions: '',
  examples: [],
};

/** A stored policy with what was added since. */
export function policyOf(stored: Partial<LabelPolicy>): LabelPolicy {
  return { ...defaultPolicy, ...stored };
}

/** 32 bits from a text (FNV-1a, then murmur3's finaliser). With a batch's secret salt in it nobody can tell what comes. */
function hashOf(text: string): number {
  let word = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) word = Math.imul(word ^ text.charCodeAt(i), 0x01000193);
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

/**
 * `who`: the batch's salt and the labeler. Whether the `place`-th item that this labeler is given (from 0) is a gold one: exactly one in each stretch of
 * round(1 / share) items, at a place of its own. So in any 100 items there are 100 · share of them, give or take one
 * where 1 / share is whole.
 */
export function isGoldPlace(share: number, who: string, place: number): boolean {
  if (share <= 0) return false;
  const stretch = Math.max(1, Math.round(1 / share));
  const block = Math.floor(place / stretch);
  return place % stretch === hashOf(`${who}/${block}`) % stretch;
}

/** Whether a labeler with these gold answers goes on. */
export function isFit({ gold }: LabelPolicy, answered: number, right: number): boolean {
  return answered < Math.max(1, gold.after) || right / answered >= gold.minScore;
}

/** Whether a reviewer must look: a share of the items, by the batch's salt and their ids, and those that are in doubt. */
export function needsReview({ review, overlap }: LabelPolicy, task: string, confidence: number | null): boolean {
  if (review.share <= 0) return false;
  const doubtful = overlap.max > 1 && confidence !== null && confidence < overlap.confidence;
  return doubtful || hashOf(`review/${task}`) < review.share * 2 ** 32;
}

/** What this labeler lacks for the batch, in words; null: nothing. */
export function unfitness(
  { requires }: LabelPolicy,
  has: { skills: readonly string[]; languages: readonly string[] },
): string | null {
  const lacking = [
    ...requires.skills.filter((one) => !has.skills.includes(one)).map((one) => `the skill ${one}`),
    ...requires.languages.filter((one) => !has.languages.includes(one)).map((one) => `the language ${one}`),
  ];
  return lacking.length === 0 ? null : lacking.join(' and ');
}

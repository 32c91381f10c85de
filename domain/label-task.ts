// Shapes of one task, as db/ reads it, the API answers it and the pages show it.
import type { Json } from './json.js';
import type { AnnotationOutcome, ReviewVerdict, Suggestion } from './labeling.js';

/** What one person said of an item. */
export interface TaskAnswer {
  annotator: string;
  /** Null: skipped. */
  label: string | null;
  outcome: AnnotationOutcome;
  /** Sent back since: it does not count. */
  past: boolean;
  seconds: number | null;
  comment: string | null;
  at: string;
}

/** What a reviewer said of a label, or its annotator of the reviewer's. */
export interface TaskReview {
  reviewer: string;
  verdict: ReviewVerdict;
  /** `fix`: the label instead. */
  label: string | null;
  comment: string | null;
  at: string;
}

/** Why a task is there again. */
export interface SentBack {
  by: string;
  comment: string | null;
}

/** A task as its labeler gets it. */
export interface LeasedTask {
  taskId: string;
  fence: number;
  expiresAt: string;
  item: Json;
  /** Null where there is none, and where the batch shows none. */
  suggestion: Suggestion | null;
  /** Null: it was never sent back. */
  sentBack: SentBack | null;
}

/** An answer of one's own that somebody has reviewed. */
export interface ReviewedAnswer {
  taskId: string;
  key: string;
  item: Json;
  /** To be named in a dispute. */
  fence: number;
  /** What one said; null: skipped. */
  own: string | null;
  /** The label now; null where it is open again or was skipped. */
  label: string | null;
  /** The last verdict on the label that stands; null: it was sent back, and nobody has looked since. */
  review: ReviewVerdict | null;
  reviews: TaskReview[];
  /** One may object: a reviewer has mended it. */
  disputable: boolean;
}

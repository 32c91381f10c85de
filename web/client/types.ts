// What the API answers about label batches, as far as the pages read it.
import type { LabelKind } from '../../domain/label-kind.js';
import type { LabelPolicy } from '../../domain/label-policy.js';
import type {
  AnnotationOutcome,
  BatchCounts,
  BatchStatus,
  Refusal,
  ReviewRefusal,
  ReviewVerdict,
} from '../../domain/labeling.js';

export type Item = unknown;

export interface Batch {
  id: string;
  status: BatchStatus;
  counts: BatchCounts;
  kind: LabelKind;
  /** Null: any label is taken. */
  classes: string[] | null;
  policy: LabelPolicy;
  deadline: string;
}

export interface Suggestion {
  label: string;
  /** Null: nobody said. */
  confidence: number | null;
}

export interface LeasedTask {
  taskId: string;
  fence: number;
  expiresAt: string;
  item: Item;
  suggestion: Suggestion | null;
}

export interface Annotated {
  accepted: number;
  surplus: number;
  refused: { taskId: string; reason: Refusal }[];
}

export interface ReviewTask {
  taskId: string;
  fence: number;
  item: Item;
  label: string | null;
  confidence: number | null;
  review: ReviewVerdict | null;
  needsReview: boolean;
  answers: {
    annotator: string;
    label: string | null;
    outcome: AnnotationOutcome;
    past: boolean;
    seconds: number | null;
    comment: string | null;
  }[];
  reviews: { reviewer: string; verdict: ReviewVerdict; label: string | null; comment: string | null }[];
}

export interface TaskPage {
  items: ReviewTask[];
  nextCursor: string | null;
}

export interface Reviewed {
  reviewed: number;
  refused: { taskId: string; reason: ReviewRefusal }[];
}

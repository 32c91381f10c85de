// What the API answers about label batches, as far as the pages read it.
import type { LabelKind } from '../../domain/label-kind.js';
import type { LabelPolicy } from '../../domain/label-policy.js';
import type { ReviewedAnswer, TaskAnswer, TaskReview } from '../../domain/label-task.js';
import type {
  BatchCounts,
  BatchDecided,
  BatchStatus,
  Refusal,
  ReviewRefusal,
  ReviewVerdict,
} from '../../domain/labeling.js';

export type { LeasedTask, ReviewedAnswer } from '../../domain/label-task.js';
export type { Suggestion } from '../../domain/labeling.js';

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
  closedAt: string | null;
  /** What closed it; null: nobody's word did, or it is not closed. */
  decided: BatchDecided | null;
}

export interface Annotated {
  accepted: number;
  surplus: number;
  refused: { taskId: string; reason: Refusal }[];
}

export interface ReviewTask {
  taskId: string;
  key: string;
  fence: number;
  item: Item;
  label: string | null;
  confidence: number | null;
  review: ReviewVerdict | null;
  needsReview: boolean;
  answers: TaskAnswer[];
  reviews: TaskReview[];
}

export interface ReviewedPage {
  items: ReviewedAnswer[];
  nextCursor: string | null;
}

export interface TaskPage {
  items: ReviewTask[];
  nextCursor: string | null;
}

export interface Reviewed {
  reviewed: number;
  refused: { taskId: string; reason: ReviewRefusal }[];
}

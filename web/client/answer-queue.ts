// Answers on their way to the API: kept in the browser, held for a moment in which they can be taken back.
import { type Kept, KeptQueue, type QueueHooks } from './kept-queue.js';
import type { Who } from './session.js';

export interface QueuedAnswer extends Kept {
  label?: unknown;
  skip?: true;
  comment?: string;
}

export function answerQueue(batch: string, person: Who, hooks: QueueHooks<QueuedAnswer>): KeptQueue<QueuedAnswer> {
  const path = `/api/v1/label-batches/${batch}/annotations`;
  const names = { name: 'answer', list: 'annotations', by: 'labeler' };
  return new KeptQueue({ ...names, path, holdMs: 3_000, holdLater: 3 }, { batch, person, hooks });
}

// Verdicts on their way to the API: kept in the browser, sent at once, each shown as said meanwhile.
import { type Kept, KeptQueue, type QueueHooks } from './kept-queue.js';
import type { Who } from './session.js';

export interface QueuedVerdict extends Kept {
  verdict: 'accept' | 'fix' | 'send-back' | 'dispute';
  label?: unknown;
  to?: 'same' | 'other';
  comment?: string;
}

export function verdictQueue(batch: string, person: Who, hooks: QueueHooks<QueuedVerdict>): KeptQueue<QueuedVerdict> {
  const path = `/api/v1/label-batches/${batch}/reviews`;
  const names = { name: 'verdict', list: 'reviews', by: 'by' };
  return new KeptQueue({ ...names, path, holdMs: 0, holdLater: 0 }, { batch, person, hooks });
}

// How a batch that was decided about is told: what, by whom, when and why.
import type { Batch } from './types.js';

const words: Record<string, string> = {
  accepted: 'This batch was accepted',
  partial: 'This batch was closed with what there was',
  cancelled: 'This batch was cancelled',
};

/** Its labels are what they are: no verdict is taken any more. */
export const isDecided = ({ status }: Batch) => status in words;

export function decidedWords({ status, closedAt, decided }: Batch): string {
  const by = decided === null ? '' : ` by ${decided.by}`;
  const at = decided?.at ?? closedAt;
  const when = at === null ? '' : ` at ${at.replace('T', ' ').slice(0, 16)} UTC`;
  const why = decided?.reason ? `: ${decided.reason}` : '.';
  return `${words[status] ?? status}${by}${when}${why}`;
}

// A decision that came as a Signal has nobody to answer: its refusal goes to the audit, whatever the Signal held.
// Nothing may escape from a Signal's handler, since that would end the workflow.
import { isCancellation } from '@temporalio/workflow';
import { namedFailure } from './fail.js';
import { flow } from './proxies.js';

const mostLetters = 200;

/** Writes the refusal; where even that is not possible the workflow goes on. */
export async function noteRefusal(project: string, subject: string, decision: unknown, error: unknown): Promise<void> {
  if (isCancellation(error)) throw error;
  const by: unknown = typeof decision === 'object' && decision !== null && 'by' in decision ? decision.by : null;
  const actor = typeof by === 'string' ? by.replaceAll('\0', '').slice(0, mostLetters) : 'unknown';
  const { name, detail } = namedFailure(error);
  try {
    await flow.recordRefusal({ project, subject, actor, failure: name, detail });
  } catch (cause) {
    if (isCancellation(cause)) throw cause;
  }
}

// In whose name something is done (architecture, rule 12).
import { appendAudit } from '../db/audit.js';
import type { Tx } from '../db/client.js';
import { Failure } from '../domain/failures.js';
import type { Identity } from './deps.js';
import { invalid } from './problem.js';

export interface Actor {
  by: string;
  /** A token says who it is. */
  verified: boolean;
  /** The admin who acts in the name of `by`; null: nobody. */
  behalfOf: string | null;
}

interface Sent {
  name?: string | undefined;
  onBehalfOf?: string | undefined;
}

/**
 * The acting person. `field` is where the name is sent: `by` or `labeler`; `fallback` stands in where no name is needed.
 * @throws Failure `InvalidRequest` when it is missing, `NotYou`
 */
export function actorOf(identity: Identity, sent: Sent, field: 'by' | 'labeler', fallback?: string): Actor {
  const { subject } = identity;
  if (subject === null) {
    const by = sent.onBehalfOf ?? sent.name ?? fallback;
    if (by === undefined) throw invalid(field, 'is required: without a token nobody is known');
    const speaker = sent.onBehalfOf === undefined ? null : (sent.name ?? 'anonymous');
    return { by, verified: false, behalfOf: speaker === by ? null : speaker };
  }
  if (sent.onBehalfOf !== undefined && sent.onBehalfOf !== subject) {
    if (identity.role !== 'admin') throw new Failure('NotYou', 'only an admin acts in the name of somebody else');
    if (sent.name !== undefined && sent.name !== subject && sent.name !== sent.onBehalfOf) {
      throw new Failure('NotYou', `${field} is neither you nor the person you act for`);
    }
    return { by: sent.onBehalfOf, verified: true, behalfOf: subject };
  }
  if (sent.name !== undefined && sent.name !== subject) {
    throw new Failure('NotYou', `${field} must be ${subject}, the subject of the token; an admin may add onBehalfOf`);
  }
  return { by: subject, verified: true, behalfOf: null };
}

/** Leaves in the audit that an admin acted for somebody; the last statement of its transaction. */
export async function auditBehalf(
  tx: Tx,
  project: string,
  actor: Actor,
  action: string,
  subject: string,
): Promise<void> {
  if (actor.behalfOf === null) return;
  await appendAudit(tx, {
    project,
    actor: actor.behalfOf,
    verified: actor.verified,
    action: 'identity.acted-for',
    subject,
    details: { action, onBehalfOf: actor.by },
  });
}

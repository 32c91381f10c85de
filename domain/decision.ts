// The id of a decision: the caller's own, or one made of what was decided, so that a repeat is known as a repeat.

/** Letters that stand for themselves in an id; all others are written as `%` and their code in hexadecimal. */
function plain(text: string): string {
  return text.replace(/[^A-Za-z0-9._@:-]/g, (letter) => `%${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What a caller may send as a decision's id. */
export function isDecisionId(id: unknown): id is string {
  return typeof id === 'string' && id.trim() !== '' && id.length <= 500;
}

/**
 * `apr_…/1/approve/kim/sha256:…`: equal for the same decision of the same person on the same thing in the same round,
 * different for any other (docs/openapi.json, Idempotency-Key). Serves as Temporal's update id too.
 */
export function decisionIdOf(decision: {
  /** Id of the approval, batch or model. */
  target: string;
  /** Rises when the same thing is asked again (an approval renewed, a batch sent back). */
  round: number;
  by: string;
  decision: string;
  digest?: string | undefined;
}): string {
  const parts = [decision.target, String(decision.round), decision.decision, decision.by];
  if (decision.digest !== undefined) parts.push(decision.digest);
  return parts.map(plain).join('/');
}

/** Why this cannot be the name of who decides, or null. */
export function nameFault(by: unknown): string | null {
  if (typeof by !== 'string' || by.trim() === '') return 'by is missing: who decides';
  return by.length > 200 || by.includes('\0') ? 'by must be a name of at most 200 letters' : null;
}

/** Why this cannot be a reason, or null; none is fine. */
export function reasonFault(reason: unknown): string | null {
  if (reason === undefined || reason === null) return null;
  const fine = typeof reason === 'string' && reason.length <= 10_000 && !reason.includes('\0');
  return fine ? null : 'reason must be a text of at most 10,000 letters';
}

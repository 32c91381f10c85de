// The audit log: per project one chain, each entry's hash over the one before it (architecture, rule 10).
import { sql } from 'drizzle-orm';
import { createHash } from 'node:crypto';
import { Failure } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import { atomically, iso, mustRow, row, rows, type Tx } from './client.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface AuditEntry {
  project: string;
  actor: string;
  /** False: nobody checked who the actor is. */
  verified: boolean;
  /** `<noun>.<verb in the past>`: `approval.decided`. */
  action: string;
  /** What it was done to: an id or a name. */
  subject: string;
  details: Json;
}

export interface AuditRow extends AuditEntry {
  number: number;
  at: string;
  previous: string;
  hash: string;
}

/**
 * Appends one entry and gives its number. Locks the project's chain head until the transaction ends, so it must be the
 * last statement of its transaction: the lock order ends here.
 * @throws Failure `NotFound` for an unknown project
 */
export async function appendAudit(tx: Tx, entry: AuditEntry): Promise<number> {
  return atomically(tx, (inner) => appendEntry(inner, entry));
}

// Senders of Signals write what they like: only what Postgres gives back as it was may be hashed.
function storable(sent: AuditEntry): AuditEntry {
  return {
    project: sent.project,
    actor: text(sent.actor),
    verified: sent.verified === true,
    action: text(sent.action),
    subject: text(sent.subject),
    details: plain(JSON.parse(JSON.stringify(sent.details ?? null)) as Json),
  };
}

function text(sent: unknown): string {
  const words = typeof sent === 'string' ? sent : (JSON.stringify(sent) ?? '');
  // without NUL; half a surrogate pair becomes U+FFFD
  return Buffer.from(words.replaceAll('\0', '')).toString();
}

function plain(value: Json): Json {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), plain(item)]));
}

async function appendEntry(tx: Tx, sent: AuditEntry): Promise<number> {
  const entry = storable(sent);
  const head = await row<{ number: number; previous: string; at: string }>(
    tx,
    sql`update project set last_audit = last_audit + 1 where name = ${entry.project}
      returning last_audit as number, audit_head as previous, clock_timestamp() as at`,
  );
  if (head === null) throw new Failure('NotFound', `there is no project ${entry.project}`);
  const written = { ...entry, number: head.number, at: iso(head.at) };
  const hash = entryHash(head.previous, written);
  await rows(
    tx,
    sql`with noted as (
        insert into audit (project, number, at, actor, verified, action, subject, details, previous, hash)
        values (${entry.project}, ${head.number}, ${written.at}, ${entry.actor}, ${entry.verified}, ${entry.action},
          ${entry.subject}, ${JSON.stringify(entry.details)}::jsonb, ${head.previous}, ${hash})
      )
      update project set audit_head = ${hash} where name = ${entry.project}`,
  );
  return head.number;
}

/** Recomputes the whole chain of a project. `firstBroken` is the number of the first entry that is missing or changed. */
export async function verifyAudit(
  tx: Tx,
  project: string,
): Promise<{ entries: number; intact: boolean; firstBroken: number | null }> {
  const head = await mustRow<{ last: number; hash: string }>(
    tx,
    sql`select last_audit as last, audit_head as hash from project where name = ${project}`,
  );
  let previous = '';
  let number = 0;
  while (number < head.last) {
    const chunk = await entriesAfter(tx, project, { after: number, last: head.last });
    for (const entry of chunk) {
      const fits =
        entry.number === number + 1 && entry.previous === previous && entry.hash === entryHash(previous, entry);
      if (!fits) return { entries: head.last, intact: false, firstBroken: number + 1 };
      previous = entry.hash;
      number = entry.number;
    }
    if (chunk.length === 0) return { entries: head.last, intact: false, firstBroken: number + 1 };
  }
  const intact = number === head.last && previous === head.hash;
  return { entries: head.last, intact, firstBroken: intact ? null : number };
}

/** Entries of a project, the latest first. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listAudit(tx: Tx, project: string, page: PageRequest): Promise<Page<AuditRow>> {
  const [before] = readCursor(page, ['number']) ?? [2_147_483_647];
  const found = await rows<AuditRow>(
    tx,
    sql`select project, number, at, actor, verified, action, subject, details, previous, hash
      from audit where project = ${project} and number < ${before} order by number desc limit ${page.limit + 1}`,
  );
  return toPage(
    found,
    page,
    (entry) => [entry.number],
    (entry) => ({ ...entry, at: iso(entry.at) }),
  );
}

// no further than the head that was read: entries may be appended meanwhile
async function entriesAfter(tx: Tx, project: string, range: { after: number; last: number }): Promise<AuditRow[]> {
  const found = await rows<AuditRow>(
    tx,
    sql`select project, number, at, actor, verified, action, subject, details, previous, hash
      from audit where project = ${project} and number > ${range.after} and number <= ${range.last}
      order by number limit 1000`,
  );
  return found.map((entry) => ({ ...entry, at: iso(entry.at) }));
}

function entryHash(previous: string, entry: AuditEntry & { number: number; at: string }): string {
  const { project, number, at, actor, verified, action, subject, details } = entry;
  const text = canonicalJson({ project, number, at, actor, verified, action, subject, details });
  return createHash('sha256').update(previous).update(text).digest('hex');
}

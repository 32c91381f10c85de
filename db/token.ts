// Bearer tokens: the secret is shown once and stored as its sha256 only.
import { sql } from 'drizzle-orm';
import { createHash, randomBytes } from 'node:crypto';
import { Failure } from '../domain/failures.js';
import { appendAudit } from './audit.js';
import { atomically, iso, mustRow, row, rows, type Tx } from './client.js';
import { newId } from './id.js';
import type { Role } from './schema/project.js';

export { roles, type Role } from './schema/project.js';

export interface TokenRow {
  id: string;
  project: string;
  /** Who acts with it. */
  subject: string;
  role: Role;
}

/** Makes the secret of the environment an `admin` token, whatever happened to it before. */
export async function ensureAdminToken(tx: Tx, admin: { project: string; secret: string }): Promise<void> {
  const { project, secret } = admin;
  await atomically(tx, async (inner) => {
    const made = await row<{ id: string }>(
      inner,
      sql`insert into token (id, project, subject, role, hash, created_by)
        values (${newId('tok')}, ${project}, 'admin', 'admin', ${hashOf(secret)}, 'environment')
        on conflict (hash) do update set revoked_at = null, project = excluded.project, role = excluded.role
          where token.revoked_at is not null or token.project <> excluded.project or token.role <> excluded.role
        returning id`,
    );
    if (made === null) return;
    const details = { subject: 'admin', role: 'admin' };
    const action = 'token.created';
    await appendAudit(inner, { project, actor: 'environment', verified: true, action, subject: made.id, details });
  });
}

/** Makes a token; the secret can be read here and never again. @throws Failure `NotFound` for an unknown project */
export async function createToken(
  tx: Tx,
  wanted: { project: string; subject: string; role: Role; by: string; verified?: boolean },
): Promise<{ id: string; secret: string }> {
  const { project, subject, role, by } = wanted;
  return atomically(tx, async (inner) => {
    const id = newId('tok');
    const secret = `perennial_${randomBytes(32).toString('base64url')}`;
    const made = await row(
      inner,
      sql`insert into token (id, project, subject, role, hash, created_by)
        select ${id}, name, ${subject}, ${role}, ${hashOf(secret)}, ${by} from project where name = ${project}
        returning 1`,
    );
    if (made === null) throw new Failure('NotFound', `there is no project ${project}`);
    const entry = { project, actor: by, verified: wanted.verified ?? true, action: 'token.created', subject: id };
    await appendAudit(inner, { ...entry, details: { subject, role } });
    return { id, secret };
  });
}

/** The token of a secret, or null when there is none or it was revoked. */
export async function findToken(tx: Tx, secret: string): Promise<TokenRow | null> {
  return row<TokenRow>(
    tx,
    sql`select id, project, subject, role from token where hash = ${hashOf(secret)} and revoked_at is null`,
  );
}

/** How many tokens are valid, in all projects. */
export async function countTokens(tx: Tx): Promise<number> {
  const { valid } = await mustRow<{ valid: number }>(
    tx,
    sql`select count(*)::int as valid from token where revoked_at is null`,
  );
  return valid;
}

/** Ends a token; again changes nothing. @throws Failure `NotFound` */
export async function revokeToken(
  tx: Tx,
  revoked: { project: string; id: string; by: string; verified?: boolean },
): Promise<void> {
  const { project, id, by } = revoked;
  await atomically(tx, async (inner) => {
    const before = await row<{ over: boolean }>(
      inner,
      sql`select revoked_at is not null as over from token where id = ${id} and project = ${project} for update`,
    );
    if (before === null) throw new Failure('NotFound', `there is no token ${id}`);
    if (before.over) return;
    await rows(inner, sql`update token set revoked_at = now() where id = ${id}`);
    const entry = { project, actor: by, verified: revoked.verified ?? true, action: 'token.revoked', subject: id };
    await appendAudit(inner, { ...entry, details: {} });
  });
}

export interface TokenView extends TokenRow {
  createdBy: string;
  createdAt: string;
  /** Null: valid. */
  revokedAt: string | null;
}

/** Tokens of a project, the oldest first, without their secrets. */
export async function listTokens(tx: Tx, project: string): Promise<TokenView[]> {
  const found = await rows<TokenView>(
    tx,
    sql`select id, project, subject, role, created_by as "createdBy", created_at as "createdAt",
        revoked_at as "revokedAt" from token where project = ${project} order by created_at, id`,
  );
  return found.map((token) => ({ ...token, createdAt: iso(token.createdAt), revokedAt: iso(token.revokedAt) }));
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

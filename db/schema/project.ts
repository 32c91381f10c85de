// Tenancy: projects, their tokens, their audit chain, and remembered answers.
import {
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import { at, createdAt, oneOf, prefixed } from './columns.js';

/** What a token may do, from least to most. */
export const roles = ['viewer', 'labeler', 'reviewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

export const project = pgTable('project', {
  name: text('name').primaryKey(),
  /** Number of the last audit entry; this row's lock is the chain's lock. */
  lastAudit: integer('last_audit').notNull().default(0),
  /** Hash of the last audit entry, '' before the first. */
  auditHead: text('audit_head').notNull().default(''),
  createdAt: createdAt(),
});

export const token = pgTable(
  'token',
  {
    id: text('id').primaryKey(),
    project: text('project')
      .notNull()
      .references(() => project.name),
    subject: text('subject').notNull(),
    role: text('role').$type<Role>().notNull(),
    /** sha256 of the secret, which is stored nowhere. */
    hash: text('hash').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
    /** Null: valid. */
    revokedAt: at('revoked_at'),
  },
  (t) => [
    prefixed('token', 'tok'),
    oneOf('token', 'role', roles),
    // findToken: every request with a bearer token
    uniqueIndex('token_hash').on(t.hash),
    // listTokens
    index('token_project').on(t.project, t.createdAt),
  ],
);

export const audit = pgTable(
  'audit',
  {
    project: text('project').notNull(),
    number: integer('number').notNull(),
    at: at('at').notNull(),
    actor: text('actor').notNull(),
    /** False: nobody checked who the actor is (loopback without tokens, Temporal's CLI). */
    verified: boolean('verified').notNull(),
    action: text('action').notNull(),
    subject: text('subject').notNull(),
    details: jsonb('details').notNull(),
    previous: text('previous').notNull(),
    hash: text('hash').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.project, t.number] }),
    foreignKey({ columns: [t.project], foreignColumns: [project.name] }),
  ],
);

export const idempotencyKey = pgTable(
  'idempotency_key',
  {
    project: text('project').notNull(),
    subject: text('subject').notNull(),
    route: text('route').notNull(),
    key: text('key').notNull(),
    bodyDigest: text('body_digest').notNull(),
    /** Null: no answer yet, the request is executed again. */
    status: integer('status'),
    body: jsonb('body'),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.project, t.subject, t.route, t.key] })],
);

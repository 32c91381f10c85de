// Human decisions on one exact candidate or schema.
import { sql } from 'drizzle-orm';
import { boolean, check, index, integer, jsonb, pgTable, text, unique, uniqueIndex } from 'drizzle-orm/pg-core';
import { approvalKinds, approvalStatuses, type ApprovalKind, type ApprovalStatus } from '../../domain/approval.js';
import type { Json } from '../../domain/json.js';
import { at, digest, digested, oneOf, prefixed } from './columns.js';
import { run } from './run.js';

export const approval = pgTable(
  'approval',
  {
    id: text('id').primaryKey(),
    project: text('project').notNull(),
    run: text('run')
      .notNull()
      .references(() => run.id),
    node: text('node').notNull(),
    kind: text('kind').$type<ApprovalKind>().notNull(),
    round: integer('round').notNull(),
    digest: digest('digest').notNull(),
    evidence: jsonb('evidence').$type<Json>().notNull(),
    status: text('status').$type<ApprovalStatus>().notNull().default('open'),
    since: at('since').notNull().defaultNow(),
    deadline: at('deadline').notNull(),
    decisionId: text('decision_id'),
    decision: text('decision'),
    decidedBy: text('decided_by'),
    verified: boolean('verified'),
    reason: text('reason'),
    decidedAt: at('decided_at'),
  },
  (t) => [
    prefixed('approval', 'apr'),
    oneOf('approval', 'kind', approvalKinds),
    oneOf('approval', 'status', approvalStatuses),
    oneOf('approval', 'decision', ['approve', 'reject', 'expire']),
    digested('approval', 'digest'),
    check('approval_decided', sql.raw(`("status" in ('open', 'void')) = ("decision_id" is null)`)),
    unique('approval_round').on(t.run, t.kind, t.round),
    // one open approval per run
    uniqueIndex('approval_open').on(t.run).where(sql.raw(`"status" = 'open'`)),
    // listApprovals
    index('approval_project').on(t.project, t.since, t.id),
  ],
);

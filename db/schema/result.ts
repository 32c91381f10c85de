// Results of pure steps by their inputs digest, for runs to come (architecture: Results). Their artifacts are referred to by
// `result:<project>/<activity>/<inputs digest>`.
import { bigint, foreignKey, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { Json } from '../../domain/json.js';
import { at, createdAt, digested } from './columns.js';
import { run } from './run.js';

export const stepResult = pgTable(
  'step_result',
  {
    project: text('project').notNull(),
    activity: text('activity').notNull(),
    /** sha256 of canonical JSON of everything that the result depends on. */
    inputsDigest: text('inputs_digest').notNull(),
    result: jsonb('result').$type<Json>().notNull(),
    /** The run that computed it, and as which candidate. */
    run: text('run').notNull(),
    candidate: integer('candidate').notNull(),
    /** Of its artifacts, together. */
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    createdAt: createdAt(),
    /** Least recently used results go first. */
    usedAt: at('used_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.project, t.activity, t.inputsDigest] }),
    digested('step_result', 'inputs_digest'),
    foreignKey({ columns: [t.run], foreignColumns: [run.id] }),
    // forgetResults: what was used last
    index('step_result_used').on(t.usedAt),
  ],
);

// Bytes in the store, and who still needs them.
import { bigint, index, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { at, createdAt, digested } from './columns.js';

export const artifact = pgTable(
  'artifact',
  {
    digest: text('digest').primaryKey(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    mediaType: text('media_type').notNull(),
    createdAt: createdAt(),
    /** The collector leaves what was touched lately. */
    touchedAt: at('touched_at').notNull().defaultNow(),
  },
  (t) => [
    digested('artifact', 'digest'),
    // collectArtifacts: oldest first
    index('artifact_touched').on(t.touchedAt),
  ],
);

/** References that no other table holds: `step:…` until the run ends, `dataset:…` for the files of a version. */
export const artifactReference = pgTable(
  'artifact_reference',
  {
    owner: text('owner').notNull(),
    role: text('role').notNull(),
    digest: text('digest')
      .notNull()
      .references(() => artifact.digest),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.owner, t.role, t.digest] }),
    // collectArtifacts: is anything referring to it
    index('artifact_reference_digest').on(t.digest),
  ],
);

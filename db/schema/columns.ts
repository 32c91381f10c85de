// Column and check helpers that all tables share. Words of a domain become text plus a check: a Postgres enum cannot
// take a new value and use it in one migration.
import { sql } from 'drizzle-orm';
import { check, text, timestamp } from 'drizzle-orm/pg-core';

/** A moment. */
export const at = (name: string) => timestamp(name, { withTimezone: true });

/** When the row was written. */
export const createdAt = () => at('created_at').notNull().defaultNow();

/** A digest that is no artifact's: a document, a schema, a version. */
export const digest = (name: string) => text(name);

/** The column holds one of the domain's words. */
export function oneOf(table: string, column: string, words: readonly string[]) {
  const list = words.map((word) => `'${word}'`).join(', ');
  return check(`${table}_${column}_word`, sql.raw(`"${column}" in (${list})`));
}

/** Ids say what they name: `run_…`. */
export function prefixed(table: string, prefix: string) {
  return check(`${table}_id_prefix`, sql.raw(`starts_with("id", '${prefix}_')`));
}

/** Names of pipelines, datasets and models. */
export function named(table: string) {
  return check(`${table}_name_form`, sql.raw(`"name" ~ '^[a-z0-9][a-z0-9_-]{0,62}$'`));
}

/** The column holds a sha256 digest. */
export function digested(table: string, column: string) {
  return check(`${table}_${column}_form`, sql.raw(`"${column}" ~ '^sha256:[0-9a-f]{64}$'`));
}

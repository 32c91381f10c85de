// Brings a database to the present schema. Drizzle's migrate() takes no lock of its own, so ours is around it.
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Failure } from '../domain/failures.js';

const migrationLock = 7_306_211;

/**
 * Applies the migrations that are missing and makes sure that the project `default` exists. Any number of processes
 * may call it at once. `folder` is where the migrations are; default: db/migrations.
 * @throws Failure `Unavailable` when the database does not answer
 */
export async function migrate(url: string, folder = migrationsFolder()): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: 'migrate' });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch {
    throw new Failure('Unavailable', 'the database does not answer');
  }
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    const db = drizzle(client);
    await applyMigrations(db, { migrationsFolder: folder });
    await db.execute(sql`insert into project (name) values ('default') on conflict (name) do nothing`);
  } finally {
    // closing the connection gives the lock back
    await client.end();
  }
}

// found the same way from the sources and from dist/, which holds no SQL
function migrationsFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const found = join(folder, 'db', 'migrations');
    if (existsSync(join(found, 'meta', '_journal.json'))) return found;
    if (folder === dirname(folder)) throw new Error('the folder db/migrations is missing');
  }
}

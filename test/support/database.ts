// A database of its own for each test file, copied from one migrated template. The server's URL is set by the test
// run (`PERENNIAL_TEST_DATABASE`).
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { createDb, type Db } from '../../db/client.js';
import { migrate } from '../../db/migrate.js';

const templateLock = 7_306_212;

export interface TestDatabase {
  url: string;
  db: Db;
  close(): Promise<void>;
}

/** A fresh database with all tables and the project `default`. `close` drops it. */
export async function testDatabase(options: { max?: number } = {}): Promise<TestDatabase> {
  const server = process.env['PERENNIAL_TEST_DATABASE'];
  if (server === undefined) throw new Error('PERENNIAL_TEST_DATABASE must be the URL of a Postgres server');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer(server, async (client) => {
    const template = await ensureTemplate(client, server);
    await client.query(`create database ${name} template ${template}`);
  });
  const url = databaseUrl(server, name);
  const { db, close } = createDb(url, { max: options.max ?? 20, name });
  return {
    url,
    db,
    close: async () => {
      await close();
      await onServer(server, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}

async function ensureTemplate(client: pg.Client, server: string): Promise<string> {
  const template = `template_${migrationsDigest()}`;
  await client.query('select pg_advisory_lock($1)', [templateLock]);
  const { rows } = await client.query('select 1 from pg_database where datname = $1', [template]);
  if (rows.length === 0) {
    // under another name until it is whole
    await client.query(`drop database if exists ${template}_new with (force)`);
    await client.query(`create database ${template}_new`);
    await migrate(databaseUrl(server, `${template}_new`));
    await client.query(`alter database ${template}_new rename to ${template}`);
  }
  return template;
}

async function onServer<T>(server: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

function migrationsDigest(): string {
  const folder = new URL('../../db/migrations/', import.meta.url);
  const hash = createHash('sha256');
  for (const file of readdirSync(fileURLToPath(folder)).sort()) {
    if (file.endsWith('.sql')) hash.update(file).update(readFileSync(new URL(file, folder)));
  }
  return hash.digest('hex').slice(0, 16);
}

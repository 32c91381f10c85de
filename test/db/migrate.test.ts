import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../db/migrate.js';

const names = ['migrated', 'declared'].map((name) => `${name}_${randomBytes(6).toString('hex')}`);
let server: pg.Client;
const urlOf = (name: string) => {
  const url = new URL(process.env['PERENNIAL_TEST_DATABASE']!);
  url.pathname = `/${name}`;
  return url.href;
};

beforeAll(async () => {
  server = new pg.Client({ connectionString: process.env['PERENNIAL_TEST_DATABASE'] });
  await server.connect();
  for (const name of names) await server.query(`create database ${name}`);
});
afterAll(async () => {
  for (const name of names) await server.query(`drop database ${name} with (force)`);
  await server.end();
});

async function on<T>(name: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: urlOf(name) });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const catalogue = (name: string) =>
  on(name, async (client) => {
    const columns = await client.query(`select table_name, column_name, data_type, is_nullable, column_default
      from information_schema.columns where table_schema = 'public' order by 1, 2`);
    const indexes = await client.query(
      `select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1`,
    );
    const constraints = await client.query(`select conrelid::regclass::text as at, conname,
        pg_get_constraintdef(oid) as is
      from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2`);
    return { columns: columns.rows, indexes: indexes.rows, constraints: constraints.rows };
  });

it('applies all migrations once when four processes start at once, and they make the declared tables', async () => {
  await Promise.all(Array.from({ length: 4 }, () => migrate(urlOf(names[0]!))));
  await migrate(urlOf(names[0]!));
  const project = await on(names[0]!, (client) => client.query('select name from project'));
  expect(project.rows).toEqual([{ name: 'default' }]);
  const declared = execFileSync(process.execPath, ['node_modules/drizzle-kit/bin.cjs', 'export'], { encoding: 'utf8' });
  await on(names[1]!, (client) => client.query(declared.slice(declared.indexOf('CREATE'))));
  expect(await catalogue(names[0]!)).toEqual(await catalogue(names[1]!));
});

it('says in one line when there is no database', async () => {
  await expect(migrate('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({ failure: 'Unavailable' });
});

// The pool, transactions, and the one place where errors of the driver become ours: they carry SQL and parameters,
// which must reach neither a log nor a client.
import { is, sql, type SQL } from 'drizzle-orm';
import {
  drizzle,
  NodePgSession,
  NodePgTransaction,
  type NodePgDatabase,
  type NodePgQueryResultHKT,
} from 'drizzle-orm/node-postgres';
import { PgDialect, PgTransaction, type PgDatabase } from 'drizzle-orm/pg-core';
import { createHash } from 'node:crypto';
import pg from 'pg';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';

export type Db = NodePgDatabase<Record<string, never>> & { $client: pg.Pool };
/** A transaction, or the pool itself: then each statement is one transaction. */
export type Tx = PgDatabase<NodePgQueryResultHKT, Record<string, never>>;

export interface DbOptions {
  /** Connections at most. Default 10. */
  max?: number;
  /** Shown in pg_stat_activity. Default `perennial`. */
  name?: string;
  /** After which the server ends a statement; the client gives up a second later. Default 14,000. */
  statementTimeoutMs?: number;
  /** Called when a connection dies. Default: nothing; the pool replaces it. */
  onError?: (error: Error) => void;
}

/** An error of Postgres without its SQL and parameters. */
export class DatabaseFault extends Error {
  readonly code: string;
  readonly constraint: string | null;
  constructor(code: string, constraint: string | null) {
    super(`the database refused a statement: ${code}${constraint === null ? '' : ` (${constraint})`}`);
    this.name = 'DatabaseFault';
    this.code = code;
    this.constraint = constraint;
  }
}

/** Opens a pool; connections are made when first used. */
export function createDb(url: string, options: DbOptions = {}): { db: Db; close(): Promise<void> } {
  const { statementTimeoutMs = 14_000 } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max ?? 10,
    application_name: options.name ?? 'perennial',
    connectionTimeoutMillis: 5_000,
    // later than the server's: a statement that only the client gave up would run on
    query_timeout: statementTimeoutMs + 1_000,
    keepAlive: true,
    // jit: a plan that stops at its first rows is priced as if it ran to the end, and would be compiled for nothing
    options: `-c timezone=UTC -c jit=off -c statement_timeout=${statementTimeoutMs} -c idle_in_transaction_session_timeout=60000`,
  });
  const onError = options.onError ?? (() => undefined);
  pool.on('error', onError);
  // the pool listens to idle connections only: one that dies in a transaction would end the process
  pool.on('connect', (client) => client.on('error', onError));
  return { db: drizzle(pool) as unknown as Db, close: () => pool.end() };
}

const dialect = new PgDialect();
const retryable = new Set(['40001', '40P01']);

/**
 * Runs `work` in one transaction, again (at most 5 times) after a serialization failure or a deadlock; so `work` must
 * have no effect outside the database.
 * @throws Failure `Unavailable` when the connection is lost, whatever `work` throws otherwise
 */
export async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await transact(db, work);
    } catch (error) {
      const fault = asFault(error);
      if (!(fault instanceof DatabaseFault) || !retryable.has(fault.code) || attempt >= 5) throw fault;
      await new Promise((resolve) => setTimeout(resolve, attempt * 10 * Math.random()));
    }
  }
}

// Drizzle's own gives a connection back to the pool in whatever state it is: the next to take it could commit what a
// stranger left half done. A connection goes back only where the server said that its transaction is over.
async function transact<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await db.$client.connect();
  let broken = true;
  try {
    await client.query('begin');
    const result = await work(transactionOn(client));
    const { command } = await client.query('commit');
    broken = false;
    // a failed statement whose error `work` kept to itself
    if (command !== 'COMMIT') throw new DatabaseFault('25P02', null);
    return result;
  } catch (error) {
    // after a timeout the statement may still run: only the end of the connection ends it
    if (broken && !isUnanswered(error)) broken = !(await rolledBack(client));
    throw error;
  } finally {
    client.release(broken);
  }
}

function transactionOn(client: pg.PoolClient): Tx {
  const session = new NodePgSession(client, dialect, undefined);
  // declared without its constructor, which is PgTransaction's
  const Transaction = NodePgTransaction as unknown as new (
    ...parts: [PgDialect, typeof session, undefined]
  ) => NodePgTransaction<Record<string, never>, Record<string, never>>;
  return new Transaction(dialect, session, undefined) as unknown as Tx;
}

async function rolledBack(client: pg.PoolClient): Promise<boolean> {
  return client.query('rollback').then(
    () => true,
    () => false,
  );
}

/**
 * Runs `work` in the caller's transaction, or in one of its own when the caller handed over the pool.
 * @throws as `inTransaction`
 */
export async function atomically<T>(tx: Tx, work: (tx: Tx) => Promise<T>): Promise<T> {
  return is(tx, PgTransaction) ? work(tx) : inTransaction(tx as unknown as Db, work);
}

/** Runs one statement. @throws Failure `Unavailable` or `InvalidRequest`, DatabaseFault */
export async function rows<T>(tx: Tx, statement: SQL): Promise<T[]> {
  try {
    return (await tx.execute(statement)).rows as T[];
  } catch (error) {
    throw asFault(error);
  }
}

/** Runs one statement that gives at most one row. @throws as `rows` */
export async function row<T>(tx: Tx, statement: SQL): Promise<T | null> {
  return (await rows<T>(tx, statement))[0] ?? null;
}

const statementNames = new Map<string, string>();

function statementName(text: string): string {
  const known = statementNames.get(text);
  if (known !== undefined) return known;
  const name = `p_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
  statementNames.set(text, name);
  return name;
}

/**
 * As `rows`, prepared once per connection: for the statements whose planning costs more than their work. Their text must
 * not vary with their values.
 */
export async function preparedRows<T>(tx: Tx, statement: SQL): Promise<T[]> {
  try {
    const query = dialect.sqlToQuery(statement);
    const result = await tx._.session.prepareQuery(query, undefined, statementName(query.sql), false).execute();
    return (result as pg.QueryResult).rows as T[];
  } catch (error) {
    throw asFault(error);
  }
}

/** As `preparedRows`, of a statement that gives at most one row. */
export async function preparedRow<T>(tx: Tx, statement: SQL): Promise<T | null> {
  return (await preparedRows<T>(tx, statement))[0] ?? null;
}

/** Runs one statement that gives exactly one row. @throws as `rows`; Failure `Internal` when there is none */
export async function mustRow<T>(tx: Tx, statement: SQL): Promise<T> {
  const found = await row<T>(tx, statement);
  if (found === null) throw new Failure('Internal', 'a row that must be there is not');
  return found;
}

/** A value as a `jsonb` parameter; null and undefined as SQL null. */
export function json(value: Json | object | null | undefined): SQL {
  return value === null || value === undefined ? sql`null::jsonb` : sql`${JSON.stringify(value)}::jsonb`;
}

/**
 * `any(…)` of texts, as one parameter: the statement's text is the same however many there are. Postgres plans a prepared
 * statement anew for each call where that looks cheaper, so their number is kept from it; likewise `limitOf`.
 */
export function anyOf(texts: readonly string[]): SQL {
  return sql`any(array(select unnest(${sql.param(texts)}::text[])))`;
}

export function limitOf(count: number): SQL {
  return sql`limit (select ${count}::bigint)`;
}

/** Postgres' text of a moment as ISO 8601 in UTC. */
export function iso(moment: string): string;
export function iso(moment: string | null): string | null;
export function iso(moment: string | null): string | null {
  return moment === null ? null : new Date(moment).toISOString();
}

function asFault(error: unknown): unknown {
  if (error instanceof Failure || error instanceof DatabaseFault) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return error;
  const code = codeOf(cause);
  if (cause instanceof pg.DatabaseError && code !== null) {
    // 22P05, 22021: a NUL or half a surrogate pair, which Postgres cannot store
    if (code === '22P05' || code === '22021' || code === '22P02')
      return new Failure('InvalidRequest', 'a text holds a character that cannot be stored');
    // 57014: its statement timeout; 25P03: the transaction's
    if (/^(08|53|57P|57014|25P03)/.test(code))
      return new Failure('Unavailable', 'the database does not take statements now');
    return new DatabaseFault(code, cause.constraint ?? null);
  }
  if (isLost(cause, code)) return new Failure('Unavailable', 'the database does not answer');
  // what Drizzle wrapped would still show the statement
  return cause === error ? error : new DatabaseFault('client', null);
}

function isUnanswered(error: unknown): boolean {
  if (error instanceof Failure) return error.failure === 'Unavailable';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && !(cause instanceof pg.DatabaseError) && isLost(cause, codeOf(cause));
}

function codeOf(cause: Error): string | null {
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
}

function isLost(cause: Error, code: string | null): boolean {
  if (code !== null && /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOENT)/.test(code)) return true;
  return /connection terminated|connection error|timeout exceeded|read timeout|connection timeout/i.test(cause.message);
}

// DuckDB as the engine over Parquet files: one in-memory instance per process, at most two queries at once, no extensions.
// `exact` work runs on a second instance with one thread, where sums repeat to the last bit (architecture, rule 9).
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';

/** Queries at once: more would fill libuv's pool, and everything else of the process would wait (measured). */
const queriesAtOnce = 2;

export interface DuckOptions {
  /** Threads of ordinary work. Default: 2. */
  threads?: number;
  /** Buffers of each instance, in MiB; what does not fit goes to `tempFolder`. Default: 2048. */
  memoryLimitMb?: number;
  /** Where DuckDB spills. Default: a folder of this process below the system's. */
  tempFolder?: string;
}

export type DuckParameters = readonly (string | number | bigint | boolean | null)[];

export interface DuckWork {
  /** One thread: the same rows give the same bits. For everything that enters an id, a model or a digest. */
  exact?: boolean;
  /** Interrupts the running query within milliseconds; the call rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** One connection: temporary tables live as long as it does. */
export interface DuckSession {
  /** Rows as plain objects: numbers, strings, booleans, null; 64-bit integers as numbers when safe, else as text. */
  query<T>(sql: string, parameters?: DuckParameters): Promise<T[]>;
  run(sql: string, parameters?: DuckParameters): Promise<void>;
  /** Raw connection for typed streaming (adapters/inputs.ts). */
  connection: DuckDBConnection;
}

export interface Duck {
  query<T>(sql: string, parameters?: DuckParameters, work?: DuckWork): Promise<T[]>;
  run(sql: string, parameters?: DuckParameters, work?: DuckWork): Promise<void>;
  /** A session that lasts until `close`, for rows that are read bit by bit. `explain` gives the failure for an error in it. */
  open(work: DuckWork): Promise<DuckSession & { explain(error: unknown): unknown; close(): void }>;
  /** Several statements on one connection. Do not nest: a session holds one of the two places. */
  session<T>(work: DuckWork, statements: (session: DuckSession) => Promise<T>): Promise<T>;
  close(): void;
}

/** `a"b` -> `"a""b"`: the only way a name enters SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A value as SQL text. Numbers in exponent form, since DuckDB reads `0.1` as a DECIMAL first (1 ulp off in 6 of 100). */
export function sqlLiteral(value: string | number | bigint | boolean | null): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (typeof value !== 'number') return String(value);
  return Number.isFinite(value) ? `${value.toExponential()}::DOUBLE` : `'${value}'::DOUBLE`;
}

/** `['a', 'b']` as an SQL list. */
export function sqlList(values: readonly (string | number)[]): string {
  return `[${values.map(sqlLiteral).join(', ')}]`;
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

/** DuckDB's own words stay in `cause`: they hold SQL and paths. */
function translated(error: unknown): unknown {
  const text = error instanceof Error ? error.message : '';
  if (text.startsWith('Out of Memory Error')) {
    const disk = /max_temp_directory_size|No space left/i.test(text);
    return new Failure(disk ? 'DiskFull' : 'OutOfMemory', 'a query over the data needs more room', { cause: error });
  }
  if (/No space left on device|Disk quota exceeded/i.test(text)) {
    return new Failure('DiskFull', 'the disk is full', { cause: error });
  }
  return error;
}

function createGate(places: number) {
  const waiting: (() => void)[] = [];
  let free = places;
  return {
    async enter(): Promise<void> {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
    },
    leave(): void {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}

function sessionOn(connection: DuckDBConnection): DuckSession {
  const values = (parameters: DuckParameters | undefined) => parameters as DuckDBValue[] | undefined;
  return {
    connection,
    async query<T>(sql: string, parameters?: DuckParameters): Promise<T[]> {
      const reader = await connection.runAndReadAll(sql, values(parameters));
      return reader.getRowObjectsJS().map((row) => plain(row) as T);
    },
    async run(sql, parameters) {
      await connection.run(sql, values(parameters));
    },
  };
}

/** Nothing is opened before the first query. `close` interrupts nothing: call it when the work is done. */
export function createDuck(options: DuckOptions = {}): Duck {
  const tempFolder = options.tempFolder ?? join(tmpdir(), `perennial-duckdb-${process.pid}`);
  const gate = createGate(queriesAtOnce);
  const instances = new Map<number, Promise<DuckDBInstance>>();

  function instance(threads: number): Promise<DuckDBInstance> {
    const open = instances.get(threads);
    if (open) return open;
    mkdirSync(tempFolder, { recursive: true, mode: 0o700 });
    const opening = DuckDBInstance.create(':memory:', {
      threads: String(threads),
      memory_limit: `${options.memoryLimitMb ?? 2048}MiB`,
      temp_directory: tempFolder,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
    });
    instances.set(threads, opening);
    return opening;
  }

  async function open(work: DuckWork): ReturnType<Duck['open']> {
    const { signal } = work;
    await gate.enter();
    let connection: DuckDBConnection | undefined;
    const interrupt = () => connection?.interrupt();
    const explain = (error: unknown) => (signal?.aborted ? signal.reason : translated(error)) as unknown;
    const close = () => {
      signal?.removeEventListener('abort', interrupt);
      connection?.closeSync();
      gate.leave();
    };
    try {
      signal?.throwIfAborted();
      connection = await (await instance(work.exact ? 1 : (options.threads ?? 2))).connect();
      signal?.addEventListener('abort', interrupt);
      await connection.run("SET TimeZone = 'UTC'");
      signal?.throwIfAborted();
      return { ...sessionOn(connection), explain, close };
    } catch (error) {
      close();
      throw explain(error);
    }
  }

  async function session<T>(work: DuckWork, statements: (session: DuckSession) => Promise<T>): Promise<T> {
    const held = await open(work);
    try {
      return await statements(held);
    } catch (error) {
      throw held.explain(error);
    } finally {
      held.close();
    }
  }

  return {
    open,
    session,
    query: <T>(sql: string, parameters?: DuckParameters, work: DuckWork = {}) =>
      session(work, (open) => open.query<T>(sql, parameters)),
    run: (sql, parameters, work = {}) => session(work, (open) => open.run(sql, parameters)),
    close() {
      for (const opening of instances.values()) void opening.then((open) => open.closeSync());
      instances.clear();
    },
  };
}

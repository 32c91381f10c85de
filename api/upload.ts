// Rows as they come in: streamed to a scratch folder, parsed, put into the store. A cut upload leaves nothing.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRows, type ParsedRows } from '../adapters/rows.js';
import { inScratchFolder } from '../adapters/scratch.js';
import type { DatasetRow } from '../db/dataset.js';
import { addIngest } from '../db/dataset.js';
import { mediaTypes } from '../domain/artifact.js';
import type { Format } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { ApiDeps } from './deps.js';
import type { ApiRequest } from './endpoint.js';
import { once } from './once.js';

const fileLimitBytes = 2 * 1024 ** 3;
const maxColumns = 5_000;
/** A sender that says nothing for this long is cut off. */
const silenceMs = 60_000;

async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | null> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure('InvalidRequest', 'the body did not go on')), silenceMs);
  });
  try {
    const { done, value } = await Promise.race([reader.read(), silence]);
    return done ? null : value;
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('InvalidRequest', 'the body ended early', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Writes the body to a file and gives its sha256. @throws Failure `TooLarge`, `InvalidRequest` when it is cut */
export async function receive(request: Request, path: string, limitBytes = fileLimitBytes): Promise<string> {
  const announced = request.headers.get('content-length');
  const tooLarge = () => new Failure('TooLarge', `a file may have at most ${limitBytes} bytes`);
  if (Number(announced ?? '0') > limitBytes) throw tooLarge();
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  let size = 0;
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  try {
    for (let chunk = reader && (await nextChunk(reader)); chunk; chunk = await nextChunk(reader!)) {
      size += chunk.length;
      if (size > limitBytes) throw tooLarge();
      hash.update(chunk);
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
    }
  } catch (error) {
    reader?.cancel().catch(() => undefined);
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new Failure('DiskFull', 'the disk is full') : error;
  } finally {
    await file.close();
  }
  if (announced !== null && size !== Number(announced)) throw new Failure('InvalidRequest', 'the body ended early');
  return hash.digest('hex');
}

interface Arrival {
  dataset: DatasetRow;
  format: Format;
  by: string;
}

async function keep(request: ApiRequest, deps: ApiDeps, arrival: Arrival, parsed: ParsedRows) {
  const { digest } = await deps.artifacts.putFile(parsed.path, mediaTypes.parquet);
  const { rows, quarantined, columns } = parsed;
  return once(request, deps, async (tx) => {
    const { dataset, format, by } = arrival;
    const ingest = await addIngest(tx, {
      dataset: dataset.id,
      artifact: digest,
      rows,
      quarantined,
      format,
      columns,
      by,
    });
    const faults = parsed.faults.map(({ row, message }) => ({ row, message }));
    return { status: 202, body: { accepted: rows, quarantined, ingest: ingest.number, faults } };
  });
}

function inScratch<T>(deps: ApiDeps, work: (folder: string) => Promise<T>): Promise<T> {
  return inScratchFolder(join(deps.config.home, 'tmp'), 'upload', work);
}

async function ingest(request: ApiRequest, deps: ApiDeps, arrival: Arrival, path: string, folder: string) {
  const { dataset, format } = arrival;
  const options = { key: dataset.key, maxColumns, outFolder: folder, signal: request.c.req.raw.signal };
  const parsed = await parseRows(deps.duck, { path, format }, options);
  return keep(request, deps, arrival, parsed);
}

/** The body is the file itself. */
export async function ingestFile(request: ApiRequest, deps: ApiDeps, arrival: Arrival) {
  return inScratch(deps, async (folder) => {
    const path = join(folder, 'body');
    const bodyDigest = await receive(request.c.req.raw, path);
    return ingest({ ...request, bodyDigest }, deps, arrival, path, folder);
  });
}

/** Rows of a JSON array, by way of the same parser: one object per line. */
export async function ingestRows(request: ApiRequest, deps: ApiDeps, arrival: Omit<Arrival, 'format'>) {
  return inScratch(deps, async (folder) => {
    const path = join(folder, 'body');
    const file = await open(path, 'wx', 0o600);
    try {
      const rows = request.body as unknown[];
      for (let from = 0; from < rows.length; from += 1_000) {
        const lines = rows.slice(from, from + 1_000).map((row) => `${JSON.stringify(row)}\n`);
        await file.write(lines.join(''));
      }
    } finally {
      await file.close();
    }
    return ingest(request, deps, { ...arrival, format: 'jsonl' }, path, folder);
  });
}

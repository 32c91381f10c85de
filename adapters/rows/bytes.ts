// Opens a file of rows: what it is by its first bytes, and its content without compression.
// gzip by node:zlib; zstd by DuckDB, since Node 20 has none (text only).
import type { Duck } from '../duckdb.js';
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { sqlLiteral } from '../duckdb.js';
import type { Format } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import { wrongFormat } from './cleaner.js';

type Compression = 'none' | 'gzip' | 'zstd';
const chunkBytes = 1 << 20;
const lookEveryMs = 100;

export interface Opened {
  format: Format;
  /** Local file without compression; made in the scratch folder where it was compressed. */
  path: string;
}

async function head(path: string, size: number): Promise<Buffer> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (['ENOENT', 'EISDIR', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw new Failure('SourceNotFound', `there is no readable file ${path}`, { cause: error });
    }
    throw error;
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function compressionOf(start: Buffer): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  if (start.length >= 4 && start.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
  return 'none';
}

/** A few bytes can expand to any number of them: beyond this they are no rows. */
function plainLimit(compressedBytes: number): number {
  return Math.min(16 * 2 ** 30, 200 * compressedBytes + 64 * 2 ** 20);
}

const tooLarge = (limit: number) =>
  new Failure('TooLarge', `the content expands to more than ${Math.floor(limit / 2 ** 20)} MiB`);

function bounded(limit: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      done(size > limit ? tooLarge(limit) : null, chunk);
    },
  });
}

async function gunzip(path: string, target: string, limit: number, signal: AbortSignal | undefined): Promise<void> {
  const source = createReadStream(path, { highWaterMark: chunkBytes });
  try {
    await pipeline(source, createGunzip(), bounded(limit), createWriteStream(target), { ...(signal && { signal }) });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code.startsWith('Z_') || code === 'ERR_TRAILING_JUNK_AFTER_STREAM_END') {
      wrongFormat('the gzip data is cut off or damaged');
    }
    if (code === 'ENOSPC') throw new Failure('DiskFull', 'the disk is full', { cause: error });
    throw error;
  }
}

/**
 * Walks the frames and blocks of zstd data (RFC 8878) to the end. DuckDB reads what is cut off as if it ended there,
 * without a word, so this is where a cut is found.
 */
async function requireWholeZstd(path: string): Promise<void> {
  const file = await open(path, 'r');
  const { size } = await file.stat();
  const bytes = Buffer.alloc(18);
  const cut = () => wrongFormat('the zstd data is cut off or damaged');
  const at = async (position: number, length: number) => {
    if ((await file.read(bytes, 0, length, position)).bytesRead < length) cut();
    return bytes;
  };
  try {
    for (let position = 0; position < size;) {
      const magic = (await at(position, 4)).readUInt32LE(0);
      if (magic >>> 4 === 0x184d2a5) {
        position += 8 + (await at(position + 4, 4)).readUInt32LE(0);
        continue;
      }
      if (magic !== 0xfd2fb528) cut();
      const descriptor = (await at(position + 4, 1))[0] ?? 0;
      const single = (descriptor & 0x20) !== 0;
      const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
      const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
      position += 5 + (single ? 0 : 1) + dictionary + contentSize;
      for (let last = false; !last;) {
        const header = (await at(position, 3)).readUIntLE(0, 3);
        last = (header & 1) === 1;
        position += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
      }
      if (descriptor & 4) position += 4;
      if (position > size) cut();
    }
  } finally {
    await file.close();
  }
}

/** Runs `work` until `target` has more bytes than `limit`, looked at now and then since DuckDB knows no such bound. */
async function whileBelow(
  limit: number,
  target: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const full = new AbortController();
  const look = async () => {
    const size = (await stat(target).catch(() => null))?.size ?? 0;
    if (size > limit) full.abort(tooLarge(limit));
  };
  const timer = setInterval(() => void look(), lookEveryMs);
  try {
    await work(signal ? AbortSignal.any([signal, full.signal]) : full.signal);
    await look();
    full.signal.throwIfAborted();
  } finally {
    clearInterval(timer);
  }
}

/** Lines through DuckDB: blank ones go. */
async function unzstd(
  duck: Duck,
  path: string,
  target: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await requireWholeZstd(path);
  // A delimiter of three control characters, so that a line is one cell.
  const lines = `read_csv(${sqlLiteral(path)}, compression = 'zstd', header = false, auto_detect = false, quote = '',
    escape = '', delim = '\x01\x02\x03', columns = {'line': 'VARCHAR'}, max_line_size = 8388608, strict_mode = false)`;
  const output = `(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', USE_TMP_FILE false)`;
  try {
    const select = `SELECT line FROM ${lines} WHERE line IS NOT NULL`;
    const copy = `COPY (${select}) TO ${sqlLiteral(target)} ${output}`;
    await whileBelow(limit, target, signal, (either) => duck.run(copy, [], { signal: either, exact: true }));
  } catch (error) {
    if (error instanceof Failure || signal?.aborted) throw error;
    wrongFormat('the zstd data is damaged, or holds no text');
  }
}

function formatOf(start: Buffer): Format {
  if (start.toString('latin1', 0, 4) === 'PAR1') return 'parquet';
  return /^(\xef\xbb\xbf)?\s*[{[]/.test(start.toString('latin1')) ? 'jsonl' : 'csv';
}

/** Leaves no file behind when it fails. */
async function expand(
  duck: Duck,
  compression: Exclude<Compression, 'none'>,
  { from, to }: { from: string; to: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  const limit = plainLimit((await stat(from)).size);
  try {
    if (compression === 'gzip') await gunzip(from, to, limit, signal);
    else await unzstd(duck, from, to, limit, signal);
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}

/** Throws `SourceNotFound`, `DatasetEmpty` (0 bytes), `TooLarge` (once expanded) and `WrongFormat` (content is not what `format` says). */
export async function openRows(
  duck: Duck,
  input: { path: string; format: Format | 'auto' },
  options: { outFolder: string; signal?: AbortSignal | undefined },
): Promise<Opened> {
  let path = input.path;
  let start = await head(path, 4096);
  const compression = compressionOf(start);
  if (compression !== 'none') {
    path = join(options.outFolder, `${randomUUID()}.plain`);
    await expand(duck, compression, { from: input.path, to: path }, options.signal);
    start = await head(path, 4096);
  }
  if (start.length === 0) throw new Failure('DatasetEmpty', 'the file has 0 bytes');
  const found = formatOf(start);
  if (input.format === 'parquet' && found !== 'parquet') wrongFormat('the content is not Parquet');
  if (found === 'parquet' && input.format !== 'parquet' && input.format !== 'auto') {
    wrongFormat(`the content is Parquet, not ${input.format}`);
  }
  return { path, format: input.format === 'auto' ? found : input.format };
}

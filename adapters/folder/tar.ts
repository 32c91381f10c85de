// Tar archives as streams: reads ustar with the pax and GNU long names that today's tools write; writes ustar, with a pax
// header where a name is too long. Format: POSIX.1-1988 and 2001 (pax). What is no file and no folder is the caller's to refuse.
import { Failure } from '../../domain/failures.js';

const block = 512;
/** Long names and pax records of one entry. */
const longestRecords = 64 * 1024;

export interface TarEntry {
  path: string;
  /** `other`: links, devices and whatever else. */
  kind: 'file' | 'directory' | 'other';
  executable: boolean;
  sizeBytes: number;
  /** Of a file; what is not read of it is skipped. */
  body: AsyncIterable<Uint8Array>;
}

const broken = (what: string): Failure => new Failure('CodeRefused', `the archive is broken: ${what}`);

/** Takes bytes from a stream in the sizes that are asked for. */
class Source {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** At most so many bytes, at least one; null at the end. */
  async some(most: number): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return null;
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** Exactly so many; null where the stream ends before the first. */
  async exactly(count: number): Promise<Buffer | null> {
    const out = Buffer.alloc(count);
    for (let at = 0; at < count;) {
      const part = await this.some(count - at);
      if (!part && at === 0) return null;
      if (!part) throw broken('it is cut off');
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

const textOf = (bytes: Buffer): string => {
  const end = bytes.indexOf(0);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(end < 0 ? bytes : bytes.subarray(0, end));
  } catch {
    throw broken('a name is not UTF-8');
  }
};

function octal(bytes: Buffer): number {
  // GNU writes what does not fit in base 256, marked by the top bit
  if ((bytes[0] ?? 0) & 0x80) return bytes.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  const [text = ''] = bytes.toString('latin1').trim().split(/[\0 ]/);
  if (!/^[0-7]*$/.test(text)) throw broken('a number in a header cannot be read');
  return Number.parseInt(text || '0', 8);
}

interface Header {
  name: string;
  type: string;
  executable: boolean;
  sizeBytes: number;
}

function readHeader(bytes: Buffer): Header | null {
  if (bytes.every((byte) => byte === 0)) return null;
  let sum = 0;
  bytes.forEach((byte, at) => (sum += at >= 148 && at < 156 ? 0x20 : byte));
  if (sum !== octal(bytes.subarray(148, 156))) throw broken('a header has another checksum; is it a tar archive?');
  const prefix = bytes.subarray(257, 262).toString('latin1') === 'ustar' ? textOf(bytes.subarray(345, 500)) : '';
  // GNU tar keeps times where ustar has its prefix
  const gnu = bytes.subarray(257, 265).toString('latin1') === 'ustar  \0';
  const name = textOf(bytes.subarray(0, 100));
  return {
    name: prefix === '' || gnu ? name : `${prefix}/${name}`,
    type: String.fromCharCode(bytes[156] ?? 0),
    executable: (octal(bytes.subarray(100, 108)) & 0o111) !== 0,
    sizeBytes: octal(bytes.subarray(124, 136)),
  };
}

const padding = (size: number): number => (block - (size % block)) % block;

async function recordText(source: Source, size: number): Promise<Buffer> {
  if (size > longestRecords) throw broken(`a header record of ${size} bytes`);
  const bytes = size === 0 ? Buffer.alloc(0) : await source.exactly(size + padding(size));
  if (!bytes) throw broken('it is cut off');
  return bytes.subarray(0, size);
}

/** `<length> <key>=<value>\n`, the length counting all of it. */
function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.subarray(at, space).toString('latin1'));
    if (space < 0 || !Number.isInteger(length) || length < 5 || at + length > bytes.length)
      throw broken('a pax record');
    const record = textOf(bytes.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

async function* bodyOf(source: Source, left: { bytes: number }): AsyncGenerator<Uint8Array> {
  while (left.bytes > 0) {
    const part = await source.some(left.bytes);
    if (!part) throw broken('it is cut off');
    left.bytes -= part.length;
    yield part;
  }
}

/** Throws `CodeRefused` where the bytes are no whole archive. */
export async function* readTar(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = new Source(stream);
  let longName: string | null = null;
  let size: number | null = null;
  let any = false;
  for (;;) {
    const bytes = await source.exactly(block);
    const header = bytes && readHeader(bytes);
    if (!header) {
      if (!bytes && !any) throw broken('it is empty');
      return;
    }
    any = true;
    const { type } = header;
    if (type === 'L') longName = textOf(await recordText(source, header.sizeBytes));
    else if (type === 'x') {
      const records = paxRecords(await recordText(source, header.sizeBytes));
      longName = records.get('path') ?? longName;
      size = records.has('size') ? Number(records.get('size')) : null;
    } else if (type === 'g' || type === 'K') await recordText(source, header.sizeBytes);
    else {
      const path = longName ?? header.name;
      const folder = type === '5' || (type !== '1' && type !== '2' && path.endsWith('/'));
      const kind = folder ? 'directory' : type === '0' || type === '\0' || type === '7' ? 'file' : 'other';
      const sizeBytes = size ?? header.sizeBytes;
      const left = { bytes: sizeBytes };
      yield { path, kind, executable: header.executable, sizeBytes, body: bodyOf(source, left) };
      for await (const skipped of bodyOf(source, left)) void skipped;
      if (padding(sizeBytes) > 0) await source.exactly(padding(sizeBytes));
      [longName, size] = [null, null];
    }
  }
}

function header(
  name: string,
  given: { prefix?: string; sizeBytes: number; type: string; executable: boolean },
): Buffer {
  const bytes = Buffer.alloc(block);
  const digits = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`;
  bytes.write(name, 0, 100, 'utf8');
  bytes.write(digits(given.executable ? 0o755 : 0o644, 8), 100, 'latin1');
  bytes.write(digits(0, 8) + digits(0, 8) + digits(given.sizeBytes, 12) + digits(0, 12), 108, 'latin1');
  bytes.write(`        ${given.type}`, 148, 'latin1');
  bytes.write('ustar\u000000', 257, 'latin1');
  bytes.write(given.prefix ?? '', 345, 155, 'utf8');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

function paxHeader(path: string): Buffer[] {
  const tail = Buffer.byteLength(` path=${path}\n`);
  let length = tail + 1;
  while (tail + String(length).length !== length) length = tail + String(length).length;
  const record = Buffer.from(`${length} path=${path}\n`);
  const first = header('././@PaxHeader', { sizeBytes: record.length, type: 'x', executable: false });
  return [first, record, Buffer.alloc(padding(record.length))];
}

/** Header blocks of a file; the body and `filler` come after them. Equal arguments, equal bytes. */
export function fileHeader(path: string, sizeBytes: number, executable: boolean): Buffer {
  const file = { sizeBytes, executable, type: '0' };
  if (Buffer.byteLength(path) <= 100) return header(path, file);
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    const fit = Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100 && name !== '';
    if (fit) return header(name, { ...file, prefix });
  }
  return Buffer.concat([...paxHeader(path), header('long-name', file)]);
}

/** What fills the last block of a body. */
export function filler(sizeBytes: number): Buffer {
  return Buffer.alloc(padding(sizeBytes));
}

/** Two empty blocks: the end of an archive. */
export const archiveEnd: Uint8Array = Buffer.alloc(2 * block);

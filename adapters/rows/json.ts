// Reads JSON Lines, and a JSON array of objects alike. Cells become text: numbers as decimals (integers of any size are
// kept to the digit), true and false, nested values as JSON; null and '' are missing.
import {
  type Cleaner,
  type CleanerOptions,
  createFaultList,
  maxRecordBytes,
  requireText,
  tooManyColumns,
  withoutMark,
  wrongFormat,
} from './cleaner.js';

const outputBytes = 1 << 20;
/** A number that a double may not hold to the digit. */
const longNumber = /\d{16}/;
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON.parse, but a number of 16 digits or more stays the text that was sent. */
function parseExactly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!longNumber.test(text)) return value;
  return JSON.parse(
    text.replace(stringOrNumber, (token) => (token[0] !== '"' && longNumber.test(token) ? `"${token}"` : token)),
  );
}

/** The text of a cell; '' when it is missing. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return JSON.stringify(value);
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Cuts a stream into records: lines, or the elements of one array. Gives the end of each record found, and keeps its state. */
function createCutter(isArray: boolean) {
  let depth = 0;
  let quoted = false;
  let escaped = false;
  let closed = false;
  /** Calls `take(from, end)` for each record from `at` on; returns where the unfinished one starts. */
  function cutArray(bytes: Buffer, at: number, start: number, take: (from: number, end: number) => void): number {
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (quoted) {
        if (escaped) escaped = false;
        else if (byte === 0x5c) escaped = true;
        else if (byte === 0x22) quoted = false;
      } else if (byte === 0x22) quoted = true;
      else if (byte === 0x7b || byte === 0x5b) {
        if (++depth === 1) start = at + 1;
      } else if (byte === 0x7d || byte === 0x5d) {
        if (--depth === 0) {
          take(start, at);
          closed = true;
          start = at + 1;
        }
      } else if (byte === 0x2c && depth === 1) {
        take(start, at);
        start = at + 1;
      }
    }
    return start;
  }
  function cutLines(bytes: Buffer, at: number, start: number, take: (from: number, end: number) => void): number {
    for (let end = bytes.indexOf(0x0a, at); end >= 0; end = bytes.indexOf(0x0a, start)) {
      take(start, end);
      start = end + 1;
    }
    return start;
  }
  return { cut: isArray ? cutArray : cutLines, isArray, isOpen: () => isArray && !closed };
}

/** Turns objects into CSV records whose width grows with the columns that were seen. */
function createWriter(maxColumns: number) {
  const list = createFaultList();
  const places = new Map<string, number>();
  const lowered = new Map<string, string>();
  const columns: string[] = [];
  let seen = 0;

  function addColumn(name: string): void {
    if (name === '') wrongFormat(`row ${seen} has a column without a name`);
    const twin = lowered.get(name.toLowerCase());
    if (twin !== undefined) wrongFormat(`the columns ${twin} and ${name} differ in case only`);
    lowered.set(name.toLowerCase(), name);
    if (columns.length === maxColumns) tooManyColumns(maxColumns + 1, maxColumns);
    places.set(name, columns.push(name) - 1);
  }

  /** One record, or null when it is left out. */
  function write(text: string): string | null {
    seen++;
    let value: unknown;
    try {
      value = parseExactly(text);
    } catch {
      list.add(seen, 'is not valid JSON');
      return null;
    }
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      list.add(seen, 'is not a JSON object');
      return null;
    }
    const cells: string[] = [];
    for (const [name, item] of Object.entries(value)) {
      if (!places.has(name)) addColumn(name);
      cells[places.get(name) as number] = cellText(item);
    }
    const texts = Array.from(cells, (cell) => cell ?? '');
    if (texts.some((cell) => /\p{Surrogate}|\0/u.test(cell))) {
      list.add(seen, 'holds text that is not valid Unicode');
      return null;
    }
    return `${seen},${texts.map(csvCell).join(',')}\n`;
  }
  return { write, list, columns, seen: () => seen };
}

export function createJsonCleaner(options: CleanerOptions): Cleaner {
  const writer = createWriter(options.maxColumns);
  let cutter: ReturnType<typeof createCutter> | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;

  function cut(bytes: Buffer, from: number): Buffer[] {
    if (!cutter) {
      const first = /^\s*(\S)/u.exec(bytes.toString('utf8', 0, 4096))?.[1];
      if (first === undefined && bytes.length < maxRecordBytes) {
        rest = bytes;
        return [];
      }
      if (first !== '{' && first !== '[') wrongFormat('the content is not JSON Lines: it starts with neither { nor [');
      cutter = createCutter(first === '[');
      from = 0;
    }
    const out: Buffer[] = [];
    let text = '';
    const start = cutter.cut(bytes, from, 0, (begin, end) => {
      const record = bytes.toString('utf8', begin, end);
      if (record.trim() === '') return;
      text += writer.write(record) ?? '';
      if (text.length < outputBytes) return;
      out.push(Buffer.from(text));
      text = '';
    });
    requireText(bytes.subarray(0, start), offset);
    offset += start;
    rest = bytes.subarray(start);
    if (rest.length > maxRecordBytes) wrongFormat(`row ${writer.seen() + 1} is too long`);
    return text === '' ? out : [...out, Buffer.from(text)];
  }

  return {
    push(chunk) {
      const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const bytes = cutter || joined.length < 3 ? joined : withoutMark(joined);
      return cut(bytes, rest.length);
    },
    end() {
      if (cutter?.isOpen()) wrongFormat('the JSON array is not closed');
      if (rest.toString('utf8').trim() === '') return [];
      if (cutter?.isArray) wrongFormat('text follows the JSON array');
      return cut(Buffer.concat([rest, Buffer.from('\n')]), rest.length);
    },
    result: () => ({
      columns: writer.columns,
      delimiter: ',',
      seen: writer.seen(),
      kept: writer.seen() - writer.list.dropped.length,
      faults: writer.list.faults,
      dropped: writer.list.dropped,
      numbered: true,
    }),
  };
}

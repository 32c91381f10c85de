// What a reader of rows does with bytes: it cuts them into records and keeps those that can be read.
// Its output is plain CSV that DuckDB cannot misread: UTF-8, one delimiter, every record of the same width.
import { isUtf8 } from 'node:buffer';
import { Failure } from '../../domain/failures.js';

/** A record that was left out, and why. `row` counts from 1, the header not included. */
export interface RowFault {
  row: number;
  message: string;
}

export interface CleanerOptions {
  maxColumns: number;
}

export interface CleanRows {
  columns: string[];
  delimiter: string;
  /** Records seen and kept. */
  seen: number;
  kept: number;
  /** The first ones. */
  faults: RowFault[];
  /** Row numbers of all records that were left out, ascending. */
  dropped: number[];
  /** The output's records start with their own row number. */
  numbered: boolean;
}

export interface Cleaner {
  /** Takes the next bytes, gives what is clean. */
  push(chunk: Buffer): Buffer[];
  end(): Buffer[];
  result(): CleanRows;
}

/** A longer record is a mistake: most often a quote that is never closed. */
export const maxRecordBytes = 4 << 20;
/** Faults that are told in words; the others are counted. */
const toldFaults = 20;

/** Throws `WrongFormat`. */
export function wrongFormat(detail: string): never {
  throw new Failure('WrongFormat', detail);
}

export function tooManyColumns(count: number, allowed: number): never {
  throw new Failure('TooManyColumns', `the data has ${count} columns, ${allowed} are allowed`);
}

/** Keeps what was left out, and its reasons as far as people will read them. */
export function createFaultList() {
  const faults: RowFault[] = [];
  const dropped: number[] = [];
  return {
    faults,
    dropped,
    add(row: number, message: string): void {
      dropped.push(row);
      if (faults.length < toldFaults) faults.push({ row, message });
    },
  };
}

/** Refuses bytes that are no text. `offset` is where `bytes` start in the file. */
export function requireText(bytes: Buffer, offset: number): void {
  const zero = bytes.indexOf(0);
  if (zero >= 0) wrongFormat(`a zero byte at ${offset + zero}: this is binary content, not text`);
  if (isUtf8(bytes)) return;
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isUtf8(bytes.subarray(0, middle))) good = middle;
    else if (isUtf8(bytes.subarray(0, middle - 1)) || isUtf8(bytes.subarray(0, middle - 2))) good = middle - 2;
    else bad = middle;
    if (good + 4 >= bad) break;
  }
  wrongFormat(`the text is not valid UTF-8, near byte ${offset + good}`);
}

/** Removes a UTF-8 byte order mark; refuses UTF-16. */
export function withoutMark(start: Buffer): Buffer {
  const [first, second, third] = start;
  if (first === 0xef && second === 0xbb && third === 0xbf) return start.subarray(3);
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    wrongFormat('the text is UTF-16; save it as UTF-8');
  }
  return start;
}

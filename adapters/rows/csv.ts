// Reads CSV (RFC 4180 with `,`, `;` or tab; LF, CRLF or CR) byte by byte. Ragged and wrongly quoted records are left out
// and counted; the others pass through as they are, so that DuckDB sees exactly the cells that were checked here.
// Spaces before an opening quote are skipped, as DuckDB does.
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

const quote = 0x22;
const space = 0x20;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const delimiters = [',', ';', '\t'];
const newline = Buffer.from('\n');

const fieldStart = 0;
const inField = 1;
const inQuotes = 2;
const afterQuote = 3;

/** Splits one record outside of its quotes. */
function splitRecord(text: string, delimiter: string): string[] {
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') cell += text[at++];
      else quoted = false;
    } else if (char === '"' && cell === '') quoted = true;
    else if (char === delimiter) {
      cells.push(cell);
      cell = '';
    } else cell += char;
  }
  return [...cells, cell];
}

/** The delimiter that splits the header most; `,` when none does. */
function delimiterOf(header: string): string {
  const widths = delimiters.map((delimiter) => splitRecord(header, delimiter).length);
  return delimiters[widths.indexOf(Math.max(...widths))] ?? ',';
}

function headerColumns(header: string, delimiter: string, maxColumns: number): string[] {
  const columns = splitRecord(header, delimiter);
  if (columns.length > maxColumns) tooManyColumns(columns.length, maxColumns);
  const seen = new Map<string, string>();
  columns.forEach((name, index) => {
    if (name.trim() === '') wrongFormat(`column ${index + 1} has no name in the header`);
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined) {
      wrongFormat(
        twin === name ? `the header has ${name} twice` : `the columns ${twin} and ${name} differ in case only`,
      );
    }
    seen.set(name.toLowerCase(), name);
  });
  return columns;
}

/** Where the header ends (at its line break), or -1. */
function headerEnd(bytes: Buffer): number {
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) quoted = !quoted;
    else if (!quoted && (byte === lineFeed || byte === carriageReturn)) return at;
  }
  return -1;
}

export function createCsvCleaner(options: CleanerOptions): Cleaner {
  const list = createFaultList();
  let columns: string[] | undefined;
  let delimiter = ',';
  let code = 0x2c;
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  let seen = 0;
  let state = fieldStart;
  let cells = 1;
  let broken = false;

  function readHeader(bytes: Buffer, end: number): void {
    requireText(bytes.subarray(0, end), 0);
    const header = bytes.toString('utf8', 0, end);
    if (/^\s*[{[]/.test(header)) wrongFormat('the content looks like JSON, not like CSV');
    delimiter = delimiterOf(header);
    code = delimiter.charCodeAt(0);
    columns = headerColumns(header, delimiter, options.maxColumns);
  }

  /** True when the record is to be kept. */
  function judge(width: number): boolean {
    seen++;
    if (broken) list.add(seen, 'text follows a closing quote');
    else if (cells !== width) list.add(seen, `has ${cells} cells, the header has ${width}`);
    else return true;
    return false;
  }

  /** Cuts `bytes` into records from `from` on; the bytes before belong to the record that was not finished. */
  function scan(bytes: Buffer, from: number, width: number): { out: Buffer[]; rest: Buffer } {
    const out: Buffer[] = [];
    let record = 0;
    let run = 0;
    const flush = (end: number) => {
      if (end > run) out.push(bytes.subarray(run, end));
    };
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (state === inQuotes) {
        at = bytes.indexOf(quote, at);
        if (at < 0) break;
        state = afterQuote;
      } else if (byte === code) {
        cells++;
        state = fieldStart;
      } else if (byte === lineFeed || byte === carriageReturn) {
        const blank = at === record;
        const kept = !blank && judge(width);
        if (!kept) flush(record);
        else if (byte === carriageReturn) {
          flush(at);
          out.push(newline);
        }
        record = at + 1;
        if (!kept || byte === carriageReturn) run = record;
        state = fieldStart;
        cells = 1;
        broken = false;
      } else if (byte === quote && state !== inField) state = inQuotes;
      else if (byte !== space || state !== fieldStart) {
        if (state === afterQuote) broken = true;
        state = inField;
      }
    }
    flush(record);
    requireText(bytes.subarray(0, record), offset);
    offset += record;
    return { out, rest: bytes.subarray(record) };
  }

  return {
    push(chunk) {
      let from = rest.length;
      let bytes = from === 0 ? chunk : Buffer.concat([rest, chunk]);
      if (!columns) {
        if (bytes.length >= 3) bytes = withoutMark(bytes);
        const end = headerEnd(bytes);
        if (end < 0) {
          if (bytes.includes(0)) requireText(bytes, 0);
          if (bytes.length > maxRecordBytes) wrongFormat('the first line is no header: it does not end');
          rest = bytes;
          return [];
        }
        readHeader(bytes, end);
        offset = end;
        bytes = bytes.subarray(end);
        from = 0;
      }
      const scanned = scan(bytes, from, columns?.length ?? 0);
      rest = scanned.rest;
      if (rest.length > maxRecordBytes) {
        wrongFormat(
          state === inQuotes ? `a quote that row ${seen + 1} opens is never closed` : `row ${seen + 1} is too long`,
        );
      }
      return scanned.out;
    },
    end() {
      if (!columns) {
        const bytes = withoutMark(rest);
        if (bytes.length > 0) readHeader(bytes, bytes.length);
        return [];
      }
      if (rest.length === 0) return [];
      if (state === inQuotes) wrongFormat(`a quote that row ${seen + 1} opens is never closed`);
      requireText(rest, offset);
      return judge(columns.length) ? [rest, newline] : [];
    },
    result: () => ({
      columns: columns ?? [],
      delimiter,
      seen,
      kept: seen - list.dropped.length,
      faults: list.faults,
      dropped: list.dropped,
      numbered: false,
    }),
  };
}

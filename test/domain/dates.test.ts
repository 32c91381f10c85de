import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { dateCell, datePartCell } from '../../adapters/cells.js';
import { createDuck, sqlList } from '../../adapters/duckdb.js';
import { datePart, datePattern, parseDate } from '../../domain/dates.js';
import { dateParts } from '../../domain/model.js';

const duck = createDuck({ memoryLimitMb: 256 });
afterAll(() => duck.close());

const two = (value: number) => String(value).padStart(2, '0');
const anyDate = fc
  .record({
    year: fc.integer({ min: 1, max: 9998 }),
    month: fc.integer({ min: 0, max: 13 }),
    day: fc.integer({ min: 0, max: 32 }),
    hour: fc.integer({ min: 0, max: 24 }),
    minute: fc.integer({ min: 0, max: 60 }),
    second: fc.integer({ min: 0, max: 60 }),
    fraction: fc.constantFrom('', '.5', '.999999999', '.1234567', '.000001'),
    zone: fc.constantFrom('', 'Z', '+09:00', '-0330', '+14', '-15:00', ' UTC'),
    mark: fc.constantFrom('T', ' ', 't'),
    form: fc.constantFrom('day', 'minutes', 'seconds'),
  })
  .map((d) => {
    const day = `${String(d.year).padStart(4, '0')}-${two(d.month)}-${two(d.day)}`;
    if (d.form === 'day') return day;
    const time = `${day}${d.mark}${two(d.hour)}:${two(d.minute)}`;
    return d.form === 'minutes' ? `${time}${d.zone}` : `${time}:${two(d.second)}${d.fraction}${d.zone}`;
  });

describe('dates', () => {
  it('are ISO 8601 and possible', () => {
    expect(parseDate('1970-01-01')).toBe(0);
    expect(parseDate('1970-01-01T09:00+09:00')).toBe(0);
    expect(parseDate('2024-02-29 23:59:59.999Z')).toBe(Date.UTC(2024, 1, 29, 23, 59, 59, 999));
    for (const text of [
      '2026-02-30',
      '2023-02-29',
      '2026-13-01',
      '0000-01-01',
      '2026-1-1',
      '20260101',
      'x',
      '',
      '1767225600',
    ]) {
      expect(parseDate(text)).toBeNull();
    }
  });

  it('have parts in UTC', () => {
    const sunday = parseDate('1969-12-28T23:30:00') as number;
    expect(dateParts.map((part) => datePart(sunday, part))).toEqual([1969, 12, 28, 7, 23, -4]);
  });

  it('mean the same in SQL', async () => {
    const texts = fc.sample(anyDate, { numRuns: 4000, seed: 1 });
    const fields = dateParts.map((part) => `${datePartCell('moment', part)}::DOUBLE AS ${part}`).join(', ');
    const rows = await duck.query<Record<string, number | null>>(
      `SELECT ${fields} FROM (SELECT ${dateCell('cell')} AS moment FROM (SELECT unnest(${sqlList(texts)}) AS cell))`,
    );
    const expected = texts.map((text) => {
      const at = parseDate(text);
      return Object.fromEntries(dateParts.map((part) => [part, at === null ? null : datePart(at, part)]));
    });
    rows.forEach((row, index) =>
      expect({ text: texts[index], ...row }).toEqual({ text: texts[index], ...expected[index] }),
    );
    expect(expected.filter((row) => row['year'] !== null).length).toBeGreaterThan(1000);
    const pattern = new RegExp(`^(${datePattern})$`);
    expect(texts.filter((text) => parseDate(text) !== null && !pattern.test(text))).toEqual([]);
  });
});

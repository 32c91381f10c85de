// CSV and JSON Lines: what was exported comes back, what was typed is understood.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ReadOptions, TakenTask } from '../../../domain/exchange/form.js';
import { csvHeader, csvLine, csvRecord, jsonLines, readTable, tableTask } from '../../../domain/exchange/table.js';
import type { FieldFault } from '../../../domain/failures.js';
import type { Json } from '../../../domain/json.js';
import { at, mustRead, readOr } from './taken.support.js';

const options = (more: Partial<ReadOptions> = {}): ReadOptions => ({
  ...{ kind: null, classes: null, fallback: 'single', key: 'id' },
  ...more,
});
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;

const letters = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', '"', ',', '\n', ';', ' ', '<', '=', '-', '+', "'", '@'),
});
const filled = letters.filter((text) => text.trim() !== '').map((text) => text.normalize('NFC'));

const person = filled.map((name) => name.replaceAll('\n', '').trim() || 'kim');

const taken: fc.Arbitrary<TakenTask> = fc.record({
  ...{ taskId: fc.constant('task_1'), position: fc.nat(), key: filled, status: fc.constant('open' as const) },
  item: fc.dictionary(filled, fc.jsonValue(), { maxKeys: 3 }).map((item) => plain(item)),
  ...{ gold: fc.option(filled), label: fc.constant(null), confidence: fc.constant(null) },
  suggestion: fc.option(fc.record({ label: filled, confidence: fc.option(fc.constantFrom(0, 0.25, 1)) })),
  ...{ reason: fc.constant('named' as const), review: fc.constant(null), reviewer: fc.constant(null) },
  ...{ reviews: fc.constant([]), source: fc.constant(null) },
  answers: fc.array(
    fc.record({
      ...{ id: fc.constant('ann_1'), annotator: person, label: fc.option(filled), at: fc.constant(at) },
      ...{ outcome: fc.constant('accepted' as const), past: fc.constant(false), source: fc.constant(null) },
      ...{ seconds: fc.option(fc.nat()), comment: fc.option(filled) },
    }),
    { maxLength: 2 },
  ),
});

const said = ({ key, item, suggestion, gold, answers }: TakenTask) => ({
  ...{ key, item, suggestion, gold, source: null },
  answers: answers.map(({ annotator, label, seconds, comment, at: given }) => ({
    annotator,
    label,
    seconds,
    comment,
    at: given,
    source: null,
  })),
});

/** RFC 4180 by hand: the API reads files with the parser of all rows. */
function cellsOf(text: string): string[][] {
  const records: string[][] = [];
  for (const [, cell, end] of text.matchAll(/("(?:[^"]|"")*"|[^",\n]*)(,|\n)/g)) {
    const open = records.at(-1) ?? records[records.push([]) - 1]!;
    open.push(cell!.startsWith('"') ? cell!.slice(1, -1).replaceAll('""', '"') : cell!);
    if (end === '\n') records.push([]);
  }
  return records.slice(0, -1);
}

it('JSON Lines come back', () => {
  fc.assert(
    fc.property(fc.array(taken, { minLength: 1, maxLength: 4 }), (tasks) => {
      const text = tasks.map((task) => `${JSON.stringify(tableTask('single', task))}\n`).join('');
      const brought = mustRead(readTable(options()), jsonLines(text, []));
      expect(plain(brought.tasks)).toEqual(plain(tasks.map(said)));
    }),
    { numRuns: 100 },
  );
});

it('CSV comes back', () => {
  fc.assert(
    fc.property(fc.array(taken, { minLength: 1, maxLength: 4 }), (tasks) => {
      const [header, ...records] = cellsOf(csvHeader + tasks.map((task) => csvLine('single', task)).join(''));
      const faults: FieldFault[] = [];
      const rows = records.map((cells) => {
        const row = Object.fromEntries(header!.map((name, place) => [name, cells[place] || null]));
        return csvRecord(row, { key: 'id', path: '', faults });
      });
      expect(faults).toEqual([]);
      expect(plain(mustRead(readTable(options()), rows).tasks)).toEqual(plain(tasks.map(said)));
    }),
    { numRuns: 100 },
  );
});

it('no cell is a formula, and what looks like one comes back', () => {
  const texts = ['=HYPERLINK("x")', '+a', '-a', '@a', '\ta', '\ra', "'=a", '-5', "'a"];
  const cells = ['\'=HYPERLINK("x")', "'+a", "'-a", "'@a", "'\ta", "'\ra", "''=a", '-5', "'a"];
  texts.forEach((key, at) => {
    const task: TakenTask = {
      ...{ taskId: 't', position: 0, key, item: { text: key }, status: 'open', gold: null, label: null },
      ...{ confidence: null, suggestion: { label: key, confidence: null }, reason: 'named', review: null },
      ...{ reviewer: null, reviews: [], source: null, answers: [] },
    };
    const [header, record] = cellsOf(csvHeader + csvLine('single', task));
    const row = Object.fromEntries(header!.map((name, place) => [name, record![place] || null]));
    expect([row['key'], row['suggestion']]).toEqual([cells[at], cells[at]]);
    expect(csvRecord(row, { key: 'id', path: '', faults: [] })).toMatchObject({ key, suggestion: { label: key } });
  });
  // a table that no export wrote is taken as it is
  const own = csvRecord({ id: "'=a", text: "'+b" }, { key: 'id', path: '', faults: [] });
  expect(own).toMatchObject({ key: "'=a", item: { text: "'+b" } });
});

it('labels with parts are JSON, in lines and in cells', () => {
  const spans = '[{"end":2,"label":"a","start":0}]';
  const task: TakenTask = {
    ...{ taskId: 't', position: 0, key: 'k', item: { text: 'abc' }, status: 'labelled', gold: spans, label: spans },
    ...{ confidence: 1, suggestion: { label: spans, confidence: null }, reason: 'named', review: null, reviewer: null },
    ...{ reviews: [], source: null, answers: [] },
  };
  expect(tableTask('span', task)).toMatchObject({ label: [{ start: 0, end: 2, label: 'a' }], gold: [{ end: 2 }] });
  const lines = mustRead(readTable(options({ kind: 'span', classes: ['a'] })), [tableTask('span', task)]);
  expect(lines.tasks[0]).toMatchObject({ gold: spans, suggestion: { label: spans } });
  const [header, cells] = cellsOf(csvHeader + csvLine('span', task));
  const row = Object.fromEntries(header!.map((name, place) => [name, cells![place] || null]));
  const record = csvRecord(row, { key: 'id', path: '', faults: [] });
  expect(mustRead(readTable(options({ kind: 'span', classes: ['a'] })), [record]).tasks[0]).toMatchObject({
    gold: spans,
  });
});

it('a plain table: the key’s column, the rest is what people see', () => {
  const place = { key: 'id', path: '[0]', faults: [] };
  expect(
    csvRecord({ id: '7', text: 'hello', label: 'x', suggestion: 'yes', 'suggestion.confidence': '0.5' }, place),
  ).toEqual({
    ...{ key: '7', item: { id: '7', text: 'hello', label: 'x' }, suggestion: { label: 'yes', confidence: 0.5 } },
  });
  expect(csvRecord({ key: '7', text: 'hello', gold: 'no' }, place)).toEqual({
    key: '7',
    item: { text: 'hello' },
    gold: 'no',
  });
});

it('each fault has its path', () => {
  const pathsOf = (value: unknown, more: Partial<ReadOptions> = {}) =>
    readOr(readTable(options(more)), value).faults.map(({ path }) => path);
  expect(pathsOf([])).toEqual(['']);
  expect(pathsOf([{ item: {} }, { key: 'a' }, 3])).toEqual(['[0].key', '[1].item', '[2]']);
  expect(pathsOf([{ key: 'a', item: {}, gold: 'x', colour: 1 }], { classes: ['y'] })).toEqual([
    '[0].colour',
    '[0].gold',
  ]);
  const answers = [{ label: 'x' }, { annotator: 'kim', label: 'z', seconds: -1 }];
  expect(pathsOf([{ key: 'a', item: {}, answers }], { classes: ['x'] })).toEqual([
    ...['[0].answers[0].annotator', '[0].answers[1].label', '[0].answers[1].seconds'],
  ]);
  const faults: FieldFault[] = [];
  jsonLines('{"key": 1}\n\n{broken', faults);
  csvRecord({ key: 'a', item: '{' }, { key: 'id', path: '[4]', faults });
  expect(faults.map(({ path }) => path)).toEqual(['[1]', '[4].item']);
});

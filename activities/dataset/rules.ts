// Which rows are bad and why: what a cell must be by its type, and what the document expects. All rules in one pass.
import { isNumberWord, typedCell } from '../../adapters/cells.js';
import { identifier, sqlList, sqlLiteral } from '../../adapters/duckdb.js';
import type { Schema } from '../../domain/dataset.js';
import { Failure } from '../../domain/failures.js';
import type { Expectation, PipelineDocument } from '../../domain/pipeline.js';

/** A row is bad where `bad` is true. SQL over the raw rows. */
export interface RowRule {
  reason: string;
  bad: string;
  column: string;
  /** The cell is not of the column's type. */
  retyped: boolean;
}

export interface RowRules {
  rules: RowRule[];
  /** FROM item: the raw rows with the helper columns that rules need. */
  from: string;
}

type ColumnExpectation = Extract<Expectation, { column: string }>;

function typeRules(schema: Schema): RowRule[] {
  const columns =
    schema.task === 'regression'
      ? [...schema.columns, { name: schema.label, type: 'number' as const }]
      : schema.columns;
  return columns.flatMap(({ name, type }): RowRule[] => {
    if (type === 'category' || type === 'text') return [];
    const cell = identifier(name);
    const bad = `${cell} IS NOT NULL AND (${typedCell(cell, type)}) IS NULL`;
    if (type === 'date') return [{ reason: `${name} is not a date`, bad, column: name, retyped: true }];
    const word = isNumberWord(cell);
    return [
      { reason: `${name} is not finite`, bad: `${word}`, column: name, retyped: false },
      { reason: `${name} is not a number`, bad: `${bad} AND NOT ${word}`, column: name, retyped: true },
    ];
  });
}

function expectationRules(rule: ColumnExpectation, schema: Schema, place: number): RowRule[] {
  const { column, min, max } = rule;
  const known = [schema.key, schema.label, ...schema.columns.map(({ name }) => name)];
  if (!known.includes(column)) {
    throw new Failure('SchemaMismatch', `an expectation is about the column ${column}, which the data does not have`);
  }
  const cell = identifier(column);
  const number = typedCell(cell, 'number');
  const add = (reason: string, bad: string): RowRule => ({
    reason: `${column} ${reason}`,
    bad,
    column,
    retyped: false,
  });
  return [
    ...(min === undefined ? [] : [add(`is below ${min}`, `(${number}) < ${sqlLiteral(min)}`)]),
    ...(max === undefined ? [] : [add(`is above ${max}`, `(${number}) > ${sqlLiteral(max)}`)]),
    ...(rule.in ? [add('is none of the allowed values', `NOT list_contains(${sqlList(rule.in)}, ${cell})`)] : []),
    ...(rule.notNull ? [add('is missing', `${cell} IS NULL`)] : []),
    ...(rule.unique ? [add('is not unique', `${cell} IS NOT NULL AND __same${place} > 1`)] : []),
  ];
}

/** Throws `SchemaMismatch` when an expectation names a column that is not there. */
export function rowRules(raw: string, schema: Schema, document: PipelineDocument): RowRules {
  const expectations = document.expectations.filter((rule): rule is ColumnExpectation => 'column' in rule);
  const same = expectations.flatMap((rule, place) =>
    rule.unique ? [`count(*) OVER (PARTITION BY ${identifier(rule.column)}) AS __same${place}`] : [],
  );
  return {
    rules: [...typeRules(schema), ...expectations.flatMap((rule, place) => expectationRules(rule, schema, place))],
    from: same.length === 0 ? raw : `(SELECT *, ${same.join(', ')} FROM ${raw})`,
  };
}

/** Throws `ExpectationFailed` for the rules about the table as a whole. */
export function checkTable(rows: number, document: PipelineDocument): void {
  for (const rule of document.expectations) {
    if (!('rows' in rule)) continue;
    const { min, max } = rule.rows;
    if (min !== undefined && rows < min)
      throw new Failure('ExpectationFailed', `${rows} good rows, at least ${min} are expected`);
    if (max !== undefined && rows > max)
      throw new Failure('ExpectationFailed', `${rows} good rows, at most ${max} are expected`);
  }
}

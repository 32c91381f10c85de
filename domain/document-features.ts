// The part `features` of a pipeline document (docs/pipeline.md, Features) as a table of fields.
import { columnTypes, type ColumnType } from './dataset.js';
import {
  bearsMissing,
  type ColumnTreatment,
  countings,
  encodings,
  imputations,
  indicators,
  scalings,
  type Span,
  treatmentFields,
  type WrittenTreatments,
} from './features.js';
import type { FieldFault } from './failures.js';
import * as f from './fields.js';
import { dateParts } from './model.js';
import { nearestWord } from './nearest.js';

export interface WrittenFeatures extends WrittenTreatments {
  include: string[] | null;
  exclude: string[];
  types: Record<string, ColumnType>;
}

const column = f.text('the name of a column', undefined, 256);
const columns = f.list(column, { max: 5000, unique: true, what: 'names of columns' });
const absent = (): undefined => undefined;
type Optional<T> = { [K in keyof T]-?: T[K] | undefined };

function given<T extends object>(value: Optional<T>): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

const impute: f.Read<NonNullable<ColumnTreatment['impute']>> = (value, path, faults) => {
  if (typeof value === 'string') {
    const word = imputations.find((known) => known === value);
    if (word !== undefined) return word;
  } else if (typeof value === 'number' && Math.abs(value) <= 3.4e38) return value;
  const nearest = typeof value === 'string' ? nearestWord(value, imputations) : null;
  return f.addFault(faults, path, {
    found: f.described(value),
    allowed: `${imputations.join(', ')}, a number`,
    nearest,
  });
};

/** 0: none of them; 2: of one and of two; [2, 3]: of two and of three. */
function span(most: number): f.Read<Span | null> {
  const whole = (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most;
  return (value, path, faults) => {
    if (value === 0) return null;
    if (whole(value)) return [1, value];
    const [from, to, ...more] = Array.isArray(value) ? (value as unknown[]) : [];
    if (whole(from) && whole(to) && from <= to && more.length === 0) return [from, to];
    const allowed = `0, a length up to ${most}, or [least, greatest]`;
    return f.addFault(faults, path, {
      found: Array.isArray(value) ? JSON.stringify(value) : f.described(value),
      allowed,
    });
  };
}

const numberFields = {
  impute: f.optional(impute, absent),
  indicator: f.optional(f.choice(indicators), absent),
  scale: f.optional(f.choice(scalings), absent),
};
const categoryFields = {
  encode: f.optional(f.choice(encodings), absent),
  limit: f.optional(f.number({ min: 1, max: 10_000, integer: true }), absent),
  buckets: f.optional(f.number({ min: 2, max: 65_536, integer: true }), absent),
};
const dateFields = {
  parts: f.optional(
    f.list(f.choice(dateParts), { min: 1, max: dateParts.length, unique: true, what: `of ${dateParts.join(', ')}` }),
    absent,
  ),
  cyclic: f.optional(f.flag, absent),
};
const textFields = {
  words: f.optional(span(3), absent),
  characters: f.optional(span(6), absent),
  hashes: f.optional(f.number({ min: 16, max: 16_384, integer: true }), absent),
  counts: f.optional(f.choice(countings), absent),
  lower: f.optional(f.flag, absent),
  length: f.optional(f.number({ min: 1, max: 4096, integer: true }), absent),
  ids: f.optional(f.number({ min: 16, max: 1_048_576, integer: true }), absent),
};

const cell: f.Read<string> = f.text('a text that is not empty');
const columnFields = f.object<Optional<ColumnTreatment>>({
  ...numberFields,
  ...categoryFields,
  ...dateFields,
  ...textFields,
  values: f.optional(f.list(cell, { min: 1, max: 10_000, unique: true, what: 'values' }), absent),
});

const columnTreatment: f.Read<ColumnTreatment> = (value, path, faults) => {
  const read = columnFields(value, path, faults);
  if (!read || !f.isRecord(value)) return undefined;
  const names = Object.keys(value).filter((name) => name in read);
  const fits = columnTypes.some((type) => names.every((name) => treatmentFields[type].includes(name)));
  if (!fits) {
    const allowed = columnTypes.map((type) => `${type}: ${treatmentFields[type].join(', ')}`).join('; ');
    return f.addFault(faults, path, { found: `${names.join(', ')}, which do not go together`, allowed });
  }
  return given<ColumnTreatment>(read);
};

const numbers = f.object<Optional<WrittenTreatments['numbers']>>(numberFields);
const categories = f.object<Optional<Omit<WrittenTreatments['categories'], 'values'>>>(categoryFields);
const dates = f.object<Optional<WrittenTreatments['dates']>>(dateFields);
const text = f.object<Optional<WrittenTreatments['text']>>(textFields);
const none = () => ({});

export const noFeatures = (): WrittenFeatures => ({
  ...{ include: null, exclude: [], types: {} },
  ...{ numbers: {}, categories: {}, dates: {}, text: {}, columns: {} },
});

const featureObject = f.object<WrittenFeatures>({
  include: f.optional<string[], null>(columns, () => null),
  exclude: f.optional(columns, () => []),
  types: f.optional(f.record(f.choice(columnTypes), 'an object of columns and their types'), none),
  numbers: f.optional<WrittenTreatments['numbers']>(f.mapped(numbers, given), none),
  categories: f.optional<WrittenTreatments['categories']>(f.mapped(categories, given), none),
  dates: f.optional<WrittenTreatments['dates']>(f.mapped(dates, given), none),
  text: f.optional<WrittenTreatments['text']>(f.mapped(text, given), none),
  columns: f.optional(f.record(columnTreatment, 'an object of columns and how they become features'), none),
});

export const features: f.Read<WrittenFeatures> = (value, path, faults) =>
  Array.isArray(value)
    ? { ...noFeatures(), include: columns(value, path, faults) ?? [] }
    : featureObject(value, path, faults);

/** What depends on two fields: a column's own words against its stated type, and missing values against the trainers. */
export function checkTreatments(
  read: Partial<WrittenFeatures>,
  trainers: readonly string[],
  faults: FieldFault[],
): void {
  const refuseMissing = (path: string, value: unknown) => {
    const not = trainers.find((type) => !bearsMissing.includes(type));
    if (value !== 'none' || not === undefined) return;
    const found = `none, but the trainer ${not} cannot learn from missing values`;
    f.addFault(faults, path, { found, allowed: 'median, mean, zero, a number' });
  };
  refuseMissing('features.numbers.impute', read.numbers?.impute);
  for (const [name, own] of Object.entries(read.columns ?? {})) {
    if (own === undefined) continue;
    const path = `features.columns.${name}`;
    refuseMissing(`${path}.impute`, own.impute);
    const type = read.types && Object.hasOwn(read.types, name) ? read.types[name] : undefined;
    const odd = type && Object.keys(own).find((field) => !treatmentFields[type].includes(field));
    if (odd)
      f.addFault(faults, `${path}.${odd}`, {
        found: `${odd} for a ${type}`,
        allowed: treatmentFields[type].join(', '),
      });
    if (read.exclude?.includes(name)) {
      f.addFault(faults, path, { found: `${f.described(name)}, which is excluded`, allowed: 'a feature column' });
    }
  }
  for (const [path, own] of [
    ['features.text', read.text],
    ...Object.entries(read.columns ?? {}).map(([name, it]) => [`features.columns.${name}`, it]),
  ] as [string, ColumnTreatment | undefined][]) {
    if (own?.words === null && own.characters === null) {
      f.addFault(faults, path, {
        found: 'neither words nor characters',
        allowed: 'n-grams of words, of characters or of both',
      });
    }
  }
}

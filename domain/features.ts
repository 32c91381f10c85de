// How columns become features: the words of a document's `features`, their defaults, and what holds for one column.
// ml/features computes them; docs/pipeline.md says them in prose.
import type { ColumnType } from './dataset.js';
import { type DatePart, dateParts } from './model.js';

/** `none` leaves a missing value missing in X, for trainers that bear it; a number stands for every missing value. */
export const imputations = ['median', 'mean', 'zero', 'none'] as const;
/** `auto`: a column of its own that says "was missing", where the training part has missing values. */
export const indicators = ['never', 'auto', 'always'] as const;
/** Centre and unit: mean and deviation; median and interquartile range; least value and range; 0 and 1. */
export const scalings = ['standard', 'robust', 'minmax', 'none'] as const;
export const encodings = ['oneHot', 'ordinal', 'hash'] as const;
/** How often an n-gram stands in a text: 1 + ln n, n, or 1. */
export const countings = ['log', 'plain', 'binary'] as const;

export interface NumberTreatment {
  impute: (typeof imputations)[number] | number;
  indicator: (typeof indicators)[number];
  scale: (typeof scalings)[number];
}

export interface CategoryTreatment {
  encode: (typeof encodings)[number];
  /** Values with a place of their own, the most frequent first; the others share "other". */
  limit: number;
  /** Places of `hash`. */
  buckets: number;
  /** The vocabulary itself, in this order. */
  values: string[] | null;
}

export interface DateTreatment {
  parts: DatePart[];
  /** Sine and cosine instead of the number, for the parts that come round again. */
  cyclic: boolean;
}

/** Least and greatest length of an n-gram. */
export type Span = [number, number];

export interface TextTreatment {
  words: Span | null;
  characters: Span | null;
  /** Columns of X that n-grams are hashed into. */
  hashes: number;
  counts: (typeof countings)[number];
  lower: boolean;
  /** For the trainer `text`: n-grams of each length that are read of one text, and how many different ids they have. */
  length: number;
  ids: number;
}

/** What a document says of one column; only fields of one kind go together. */
export type ColumnTreatment = Partial<NumberTreatment & CategoryTreatment & DateTreatment & TextTreatment>;

export interface FeatureTreatments {
  numbers: NumberTreatment;
  categories: CategoryTreatment;
  dates: DateTreatment;
  text: TextTreatment;
  columns: Record<string, ColumnTreatment>;
  /** Every trainer bears missing values and category codes as they are: missing stays NaN, a category is its code. */
  plain: boolean;
  /** Some trainer reads texts as ids of n-grams; `only`: all do, and X needs no hashed columns. */
  tokens: 'none' | 'some' | 'only';
}

/** A document's `features` as written; absent defaults depend on the trainers. */
export interface WrittenTreatments {
  numbers: Partial<NumberTreatment>;
  categories: Partial<CategoryTreatment>;
  dates: Partial<DateTreatment>;
  text: Partial<TextTreatment>;
  columns: Record<string, ColumnTreatment>;
}

/** Fields of `features.columns.<name>` by the type of the column. */
export const treatmentFields: Record<ColumnType, readonly string[]> = {
  number: ['impute', 'indicator', 'scale'],
  category: ['encode', 'limit', 'buckets', 'values'],
  date: ['parts', 'cyclic', 'impute', 'indicator', 'scale'],
  text: ['words', 'characters', 'hashes', 'counts', 'lower', 'length', 'ids'],
};

/** These bear missing values in X. */
export const bearsMissing: readonly string[] = ['trees', 'command'];

/** Every default filled in. Where all trainers are `trees`, features stay as plain as they are. */
export function filledTreatments(written: WrittenTreatments, trainers: readonly string[]): FeatureTreatments {
  const plain = trainers.length > 0 && trainers.every((type) => type === 'trees');
  const texts = trainers.filter((type) => type === 'text').length;
  const { columns } = written;
  return {
    numbers: plain
      ? { impute: 'none', indicator: 'never', scale: 'none', ...written.numbers }
      : { impute: 'median', indicator: 'never', scale: 'standard', ...written.numbers },
    // With "other" and missing, 254 values are what a byte can tell apart.
    categories: plain
      ? { encode: 'ordinal', limit: 254, buckets: 64, values: null, ...written.categories }
      : { encode: 'oneHot', limit: 256, buckets: 64, values: null, ...written.categories },
    dates: { parts: [...dateParts], cyclic: false, ...written.dates },
    text: {
      ...{ words: [1, 1], characters: [2, 3], hashes: 1024, counts: 'log', lower: true, length: 64, ids: 16_384 },
      ...written.text,
    },
    columns,
    plain,
    tokens: texts === 0 ? 'none' : texts === trainers.length ? 'only' : 'some',
  };
}

/** What holds for one column: its own words before those of its kind. */
export function treatmentOf(features: FeatureTreatments, column: string) {
  const own = Object.hasOwn(features.columns, column) ? (features.columns[column] as ColumnTreatment) : {};
  return {
    number: { ...features.numbers, ...own } as NumberTreatment,
    category: { ...features.categories, ...own } as CategoryTreatment,
    date: { ...features.dates, ...own } as DateTreatment,
    text: { ...features.text, ...own } as TextTreatment,
  };
}

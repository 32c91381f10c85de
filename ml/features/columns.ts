// The columns of X in their order: what each one is made of. Widths, reports, importance and constraints by name lean on it.
// Order: numbers, then sines and cosines, then indicators, then categories, then hashed n-grams, then ids of n-grams.
import type { FittedCategory, FittedFeatures, FittedText, TokenFacts } from '../../domain/model.js';

export interface MatrixColumn {
  /** Column of the data. */
  source: string;
  /** For people: `price`, `when.month`, `city=Seoul`, `review#17`. */
  name: string;
  kind: 'number' | 'cycle' | 'indicator' | 'place' | 'code' | 'hash' | 'token';
  /** `code`: how many codes there are, 0 to places - 1. */
  places?: number;
  /** A missing value is NaN here. */
  missing?: true;
}

type Fitted = Pick<FittedFeatures, 'num' | 'cat' | 'text'>;

/** How many different places the values of a category have. */
export function categoryPlaces(category: FittedCategory): number {
  return category.buckets ?? category.values.length + 1;
}

/** Columns of one category in the matrix. */
export function categoryWidth(category: FittedCategory): number {
  return category.code ? 1 : categoryPlaces(category);
}

/** Lengths of the n-grams, words first: each makes `tokens.length` ids. */
export function gramSpans({ words, characters }: FittedText): { unit: 'words' | 'characters'; n: number }[] {
  const lengths = (span: [number, number] | null) =>
    span ? Array.from({ length: span[1] - span[0] + 1 }, (_, i) => span[0] + i) : [];
  return [
    ...lengths(words).map((n) => ({ unit: 'words' as const, n })),
    ...lengths(characters).map((n) => ({ unit: 'characters' as const, n })),
  ];
}

/** Columns of the ids of one text. */
export function tokenWidth(text: FittedText): number {
  return text.tokens ? text.tokens.length * gramSpans(text).length : 0;
}

/** What trainers are told of the ids at the end of X; undefined where there are none. */
export function tokenFacts({ text = [] }: Pick<FittedFeatures, 'text'>): TokenFacts | undefined {
  const listed = text.filter(({ tokens }) => tokens);
  if (listed.length === 0) return undefined;
  return { columns: listed.map(tokenWidth), ids: Math.max(...listed.map(({ tokens }) => tokens?.ids ?? 0)) };
}

/** Width of the featurised matrix, without making a list. */
export function featureWidth({ num, cat, text = [] }: Fitted): number {
  const numbers = num.reduce((sum, { cycle, indicator }) => sum + (cycle ? 2 : 1) + (indicator ? 1 : 0), 0);
  const places = cat.reduce((sum, category) => sum + categoryWidth(category), 0);
  return numbers + places + text.reduce((sum, one) => sum + one.hashes + tokenWidth(one), 0);
}

function categoryColumns(category: FittedCategory): MatrixColumn[] {
  const { column: source, values, buckets, code } = category;
  const places = categoryPlaces(category);
  if (code) return [{ source, name: source, kind: 'code', places, ...(code.missing === null && { missing: true }) }];
  return Array.from({ length: places }, (_, i) => ({
    source,
    name: buckets ? `${source}#${i}` : `${source}=${values[i] ?? 'other'}`,
    kind: 'place' as const,
  }));
}

/** One entry for each column of X, in order. */
export function matrixColumns({ num, cat, text = [] }: Fitted): MatrixColumn[] {
  const named = num.map((number) => {
    const { column, part } = number.input;
    return { ...number, source: column, name: part === null ? column : `${column}.${part}` };
  });
  const rows = (count: number, make: (i: number) => MatrixColumn) => Array.from({ length: count }, (_, i) => make(i));
  return [
    ...named
      .filter(({ cycle }) => !cycle)
      .map(({ source, name, impute }): MatrixColumn => {
        return { source, name, kind: 'number', ...(impute === null && { missing: true }) };
      }),
    ...named
      .filter(({ cycle }) => cycle)
      .flatMap(({ source, name }): MatrixColumn[] =>
        ['sin', 'cos'].map((wave) => ({ source, name: `${name}.${wave}`, kind: 'cycle' })),
      ),
    ...named
      .filter(({ indicator }) => indicator)
      .map(({ source, name }): MatrixColumn => ({ source, name: `${name} missing`, kind: 'indicator' })),
    ...cat.flatMap(categoryColumns),
    ...text.flatMap(({ column: source, hashes }) =>
      rows(hashes, (i) => ({ source, name: `${source}#${i}`, kind: 'hash' })),
    ),
    ...text.flatMap((one) =>
      rows(tokenWidth(one), (i) => ({ source: one.column, name: `${one.column}@${i}`, kind: 'token' })),
    ),
  ];
}

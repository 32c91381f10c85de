// The features in plain TypeScript: the oracle that the graph is tested against, and its definition in prose.
// Computed in float32 like the graph; logarithms and lengths of texts may differ in the last place.
import type { FittedCategory, FittedFeatures, FittedText, ModelInputs } from '../../domain/model.js';
import { categoryPlaces, categoryWidth, featureWidth, gramSpans, tokenWidth } from './columns.js';
import { cycleTable } from './graph.js';
import { gramsOf, gramStarts, murmur3 } from './hash.js';

const round = Math.fround;
/** Texts as the runtime's own binding takes them: up to a NUL, and what is no Unicode becomes U+FFFD. */
const received = (text: string): string => Buffer.from(text.split('\0')[0]!, 'utf8').toString('utf8');

function numbersOf({ num }: FittedFeatures, values: ArrayLike<number>): number[] {
  const plain = num.flatMap(({ cycle, impute, mean, scale }, i) => {
    if (cycle) return [];
    const value = Number.isNaN(values[i]!) ? round(impute ?? NaN) : values[i]!;
    return [round(round(value - round(mean)) * round(scale))];
  });
  const cycles = num.flatMap(({ cycle }, i) => {
    if (!cycle) return [];
    const turn = Math.trunc(Math.min(Math.max(round(values[i]! - cycle.first), -1), cycle.count));
    const place = Number.isNaN(turn) || turn < 0 ? cycle.count : turn;
    return cycleTable(cycle.count).slice(2 * place, 2 * place + 2);
  });
  const told = num.flatMap(({ indicator }, i) => (indicator ? [Number(Number.isNaN(values[i]!))] : []));
  return [...plain, ...cycles, ...told];
}

/** The number of a value's place; null for a missing one. */
export function categoryPlace(category: FittedCategory, value: string): number | null {
  const text = received(value);
  if (text === '') return null;
  if (category.buckets) {
    const hash = murmur3(text);
    return hash === 0 ? null : hash % category.buckets;
  }
  const index = category.values.indexOf(text);
  return index === -1 ? category.values.length : index;
}

function placesOf(category: FittedCategory, value: string): number[] {
  const place = categoryPlace(category, value);
  if (category.code) return [place ?? category.code.missing ?? NaN];
  const row = new Array<number>(categoryWidth(category)).fill(0);
  if (place !== null && place < categoryPlaces(category)) row[place] = 1;
  return row;
}

/** Lower case one code point at a time, as C's towlower: no final sigma, and the Turkish İ becomes i. */
const lowered = (text: string): string =>
  [...text].map((point) => (point === 'İ' ? 'i' : point.toLowerCase())).join('');

/** The n-grams of one text for each length, in order: one list for each entry of `gramSpans`. */
export function textGrams(text: FittedText, value: string): number[][] {
  const read = text.lower ? lowered(received(value)) : received(value);
  const units = { words: read.match(/[\p{L}\p{M}\p{N}]+|\p{So}/gu) ?? [], characters: [...read] };
  return gramSpans(text).map(({ unit, n }) =>
    gramsOf(
      units[unit].map((word) => murmur3(word)),
      n,
      gramStarts[unit],
    ),
  );
}

function hashesOf(text: FittedText, grams: number[][]): number[] {
  const counts = new Array<number>(text.hashes).fill(0);
  for (const gram of grams.flat()) counts[gram % text.hashes]!++;
  const weight = { log: (n: number) => 1 + Math.log(n), plain: (n: number) => n, binary: () => 1 }[text.counts];
  const weights = counts.map((n) => (n === 0 ? 0 : weight(n)));
  const length = Math.sqrt(weights.reduce((sum, one) => sum + one * one, 0));
  return weights.map((one) => round(one / Math.max(length, 1e-12)));
}

function tokensOf(text: FittedText, grams: number[][]): number[] {
  const { length = 0, ids = 1 } = text.tokens ?? {};
  return grams.flatMap((list) => Array.from({ length }, (_, i) => (i < list.length ? 1 + (list[i]! % ids) : 0)));
}

/** Row-major rows x width. `inputs` are as the model takes them. */
export function featuriseReference(fitted: FittedFeatures, inputs: ModelInputs): Float32Array {
  const { num, cat, text = [] } = fitted;
  const width = featureWidth(fitted);
  const x = new Float32Array(inputs.rows * width);
  for (let row = 0; row < inputs.rows; row++) {
    const grams = text.map((one, i) => textGrams(one, inputs.text?.[row * text.length + i] ?? ''));
    const cells = [
      ...numbersOf(fitted, inputs.num.subarray(row * num.length, (row + 1) * num.length)),
      ...cat.flatMap((category, i) => placesOf(category, inputs.cat[row * cat.length + i] ?? '')),
      ...text.flatMap((one, i) => hashesOf(one, grams[i]!)),
      ...text.flatMap((one, i) => (tokenWidth(one) > 0 ? tokensOf(one, grams[i]!) : [])),
    ];
    x.set(cells, row * width);
  }
  return x;
}

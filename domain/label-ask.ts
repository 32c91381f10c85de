// What a run's batch asks about (docs/pipeline.md, Labels): rows without a label, labelled ones that are probably wrong, or
// rows that somebody named. Asking again about a labelled row is relabelling: the new label wins.
import type { FieldFault } from './failures.js';
import * as f from './fields.js';

export const askWords = ['unlabelled', 'suspects'] as const;
export type Ask = (typeof askWords)[number] | { keys: string[] };

export const mostKeys = 10_000;

const named = f.object<{ keys: string[] }>({
  keys: f.required(
    f.list(f.text('the key of a row'), { min: 1, max: mostKeys, unique: true, what: 'keys' }),
    `1 to ${mostKeys} keys`,
  ),
});

export const readAsk: f.Read<Ask> = (value, path, faults) => {
  if (f.isRecord(value)) return named(value, path, faults);
  const known = askWords.find((word) => word === value);
  if (known !== undefined) return known;
  return f.addFault(faults, path, { found: f.described(value), allowed: `${askWords.join(', ')} or { keys: […] }` });
};

/** The named rows; null where the batch is chosen. */
export function keysOf(ask: Ask): string[] | null {
  return typeof ask === 'string' ? null : ask.keys;
}

/** As an audit and a list say it: ten thousand keys are counted. */
export function askInWords(ask: Ask): string {
  return typeof ask === 'string' ? ask : `${ask.keys.length} rows by key`;
}

const mostFaults = 100;

/** A fault for each key that is not among `known`, at its own path; at most 100. */
export function unknownKeys(keys: readonly string[], known: ReadonlySet<string>, path: string): FieldFault[] {
  return keys
    .flatMap((key, index) => (known.has(key) ? [] : [{ key, index }]))
    .slice(0, mostFaults)
    .map(({ key, index }) => ({
      path: `${path}[${index}]`,
      message: `found ${f.described(key)}; allowed: the key of a row in the dataset's latest version`,
    }));
}

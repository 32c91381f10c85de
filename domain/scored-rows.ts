// Rows of a pool as a model sees them. A pool may have a million rows: what is held of each is its key and its numbers,
// side by side, and what is done with all of them does without an object for each.

export interface ScoredRows {
  keys: readonly string[];
  /** Of a row by its place in `keys`; null or empty where no model has scored it. */
  probabilities(row: number): ArrayLike<number> | null;
}

/** From one object a row, for few rows. */
export function scoredRows(items: readonly { key: string; probabilities: ArrayLike<number> | null }[]): ScoredRows {
  return { keys: items.map(({ key }) => key), probabilities: (row) => items[row]?.probabilities ?? null };
}

/** Places in `keys`, by rising key. */
export function rowsByKey(keys: readonly string[]): Uint32Array {
  const order = new Uint32Array(keys.length);
  for (let row = 0; row < order.length; row += 1) order[row] = row;
  let sorted = true;
  // files are in key order, by bytes; that is hardly ever another order than that of texts
  for (let row = 1; row < keys.length && sorted; row += 1) sorted = keys[row - 1]! <= keys[row]!;
  if (sorted) return order;
  return order.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
}

// Orders that a replay repeats: by value, equal ones by index, so that the same numbers always give the same picks.

function ordered(values: ArrayLike<number>, sign: 1 | -1): number[] {
  const indexes = Array.from({ length: values.length }, (_, index) => index);
  const known = indexes.filter((index) => !Number.isNaN(values[index]));
  // the difference of two infinities is NaN: equal too
  known.sort((a, b) => sign * (values[a]! - values[b]!) || a - b);
  return known.length === indexes.length
    ? known
    : [...known, ...indexes.filter((index) => Number.isNaN(values[index]))];
}

/** Indexes by rising value, equal values by index, NaN last. */
export function lowestFirst(values: ArrayLike<number>): number[] {
  return ordered(values, 1);
}

/** Indexes by falling value, equal values by index, NaN last. */
export function highestFirst(values: ArrayLike<number>): number[] {
  return ordered(values, -1);
}

/** Place of the largest of `length` values from `start` on, counted from `start`; the first of equals; 0 where all are NaN. */
export function argMax(values: ArrayLike<number>, start = 0, length = values.length - start): number {
  let [place, most] = [0, -Infinity];
  for (let at = 0; at < length; at += 1) {
    const value = values[start + at]!;
    if (value > most) [place, most] = [at, value];
  }
  return place;
}

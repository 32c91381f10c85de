// Row-major matrices in one flat array: row i has the places i · width to (i + 1) · width - 1.

/** How many rows there are. @throws RangeError where `values` is no whole number of rows of `width` ≥ 1 */
export function rowsOf(values: ArrayLike<number>, width: number): number {
  const rows = values.length / width;
  if (!Number.isInteger(rows) || width < 1) throw new RangeError(`${values.length} values in rows of ${width}`);
  return rows;
}

/** The same, of numbers that distances can be taken of. @throws RangeError as `rowsOf`, and for NaN or an infinity */
export function finiteRowsOf(values: ArrayLike<number>, width: number): number {
  const rows = rowsOf(values, width);
  for (let at = 0; at < values.length; at += 1) {
    if (!Number.isFinite(values[at])) throw new RangeError(`row ${Math.floor(at / width)} has the value ${values[at]}`);
  }
  return rows;
}

// Sizes as people write them: `500 kB`, `10 MB`, `1 GiB`; a plain number is bytes.

const units: Record<string, number> = {
  B: 1,
  ...{ kB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
};
export const sizeUnits = Object.keys(units);

/** Whole bytes, or null for what is no size. Units are read in any case, as `mb` can only mean `MB`. */
export function parseBytes(text: string): number | null {
  const [, digits, written] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const unit = sizeUnits.find((word) => word.toLowerCase() === (written || 'B').toLowerCase());
  const factor = unit === undefined ? undefined : units[unit];
  if (digits === undefined || factor === undefined) return null;
  const bytes = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

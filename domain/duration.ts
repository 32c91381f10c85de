// Durations as people write them: `3 days`, `1 hour`, `90 s`, `1 h 30 min`; and back again for messages.

const unitsMs: Record<string, number> = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1000,
  sec: 1000,
  secs: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  min: 60_000,
  mins: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
  weeks: 604_800_000,
};

export const dayMs = 86_400_000;

/** Bounds of a time that people are waited for, as `f.duration` takes them. */
export const longestWait = {
  minMs: 1,
  maxMs: 366 * dayMs,
  allowed: 'a duration up to 366 days, such as "3 days" or "90 s"',
};

/** The units as messages suggest them. */
export const durationWords = ['seconds', 'minutes', 'hours', 'days', 'weeks'] as const;

/** Longest text that is looked at; longer ones are no durations. */
const maxLength = 60;

/** Milliseconds of `3 days` or `1 h 30 min`, rounded to a whole number; null where the text is no duration. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === '' || trimmed.length > maxLength) return null;
  let rest = trimmed;
  let sum = 0;
  while (rest !== '') {
    const part = /^(\d+(?:\.\d+)?)\s*([a-z]+)\s*/.exec(rest);
    const unit = part?.[2];
    if (!part || unit === undefined || !Object.hasOwn(unitsMs, unit)) return null;
    sum += Number(part[1]) * (unitsMs[unit] ?? 0);
    rest = rest.slice(part[0].length);
  }
  const rounded = Math.round(sum);
  return Number.isSafeInteger(rounded) ? rounded : null;
}

const spoken: [number, string][] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
];

/** `5400000` -> `1 hour 30 minutes`: the two largest units, for sentences that people read. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.max(0, Math.round(durationMs))} ms`;
  const words: string[] = [];
  let rest = durationMs;
  for (const [unitMs, unit] of spoken) {
    const count = Math.floor(rest / unitMs);
    if (count === 0 || words.length === 2) continue;
    words.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
    rest -= count * unitMs;
  }
  return words.join(' ');
}

// Cron lines of a schedule: five fields with ranges, steps, lists and names, or an alias such as @daily.

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

export const cronAliases = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'] as const;

interface CronField {
  name: string;
  min: number;
  max: number;
  /** Words for `firstWord`, `firstWord + 1`, … */
  words: string[];
  firstWord: number;
}

/** Day of week 7 is Sunday too, as in Temporal's schedules. */
const fields: CronField[] = [
  { name: 'minute', min: 0, max: 59, words: [], firstWord: 0 },
  { name: 'hour', min: 0, max: 23, words: [], firstWord: 0 },
  { name: 'day of month', min: 1, max: 31, words: [], firstWord: 0 },
  { name: 'month', min: 1, max: 12, words: months, firstWord: 1 },
  { name: 'day of week', min: 0, max: 7, words: days, firstWord: 0 },
];

function numberOf(field: CronField, text: string): number | null {
  const word = field.words.indexOf(text.toLowerCase());
  if (word >= 0) return word + field.firstWord;
  return /^\d{1,2}$/.test(text) ? Number(text) : null;
}

/** The values that one comma-separated item of a field stands for, or what is wrong with it. */
function itemValues(field: CronField, item: string): number[] | string {
  const range = `${field.min}-${field.max}`;
  const parts = /^(\*|[^/-]+)(?:-([^/-]+))?(?:\/(\d{1,2}))?$/.exec(item);
  if (!parts || (parts[1] === '*' && parts[2] !== undefined))
    return `${field.name} "${item}" is not of the form ${range}`;
  const step = parts[3] === undefined ? 1 : Number(parts[3]);
  if (step === 0) return `${field.name} "${item}" has a step of 0`;
  const from = parts[1] === '*' ? field.min : numberOf(field, parts[1] ?? '');
  const open = parts[1] === '*' || (parts[3] !== undefined && parts[2] === undefined);
  const to = parts[2] !== undefined ? numberOf(field, parts[2]) : open ? field.max : from;
  if (from === null || to === null) return `${field.name} "${item}" is not of the form ${range}`;
  if (from < field.min || to > field.max) return `${field.name} "${item}" lies outside ${range}`;
  if (from > to) return `${field.name} "${item}" runs backwards`;
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
}

const longestMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** What is wrong with a cron line, as half a sentence; null where it can be used. */
export function cronFault(line: string): string | null {
  const text = line.trim();
  if (text.startsWith('@')) {
    return (cronAliases as readonly string[]).includes(text) ? null : `"${text.slice(0, 20)}" is not an alias`;
  }
  const items = text === '' ? [] : text.split(/\s+/);
  if (items.length !== fields.length) return `${items.length} of five fields`;
  const values: number[][] = [];
  for (const [index, field] of fields.entries()) {
    const all: number[] = [];
    for (const item of (items[index] ?? '').split(',')) {
      const found = itemValues(field, item.slice(0, 20));
      if (typeof found === 'string') return found;
      all.push(...found);
    }
    values.push(all);
  }
  const firstDay = Math.min(...(values[2] ?? []));
  const possible = (values[3] ?? []).some((month) => firstDay <= (longestMonth[month - 1] ?? 0));
  return possible ? null : 'no such day in these months';
}

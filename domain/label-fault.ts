// What is wrong with an answer that its batch does not take, in words: which part, what was found, what is allowed.
import { described, isRecord } from './fields.js';
import { type LabelSpace, labelText, labelWords } from './label-kind.js';

function parsed(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function words(found: unknown, space: LabelSpace): string {
  return `found ${described(found)}; allowed: ${labelWords(space)}`;
}

function spanFault({ start, end }: Record<string, unknown>, at: string, { textLength }: LabelSpace): string {
  if (!Number.isInteger(start) || Number(start) < 0) return `${at}.start is ${described(start)}, no place in the text`;
  if (!Number.isInteger(end)) return `${at}.end is ${described(end)}, no place in the text`;
  if (Number(end) <= Number(start)) return `${at}.end ${String(end)} is not after start ${String(start)}`;
  if (Number(end) > (textLength ?? Infinity)) return `${at}.end ${String(end)} is past the text’s ${textLength}`;
  return `${at} splits a character of the text`;
}

function boxFault(box: Record<string, unknown>, at: string): string {
  for (const name of ['x', 'y', 'width', 'height']) {
    const side = box[name];
    if (typeof side !== 'number' || !Number.isFinite(side)) return `${at}.${name} is ${described(side)}, not a number`;
    if (side < 0 || side > 1) return `${at}.${name} ${side} is no share of the image, 0 to 1`;
  }
  if (!(Number(box['width']) > 0 && Number(box['height']) > 0)) return `${at} has no area`;
  return `${at} reaches beyond the image`;
}

function partFault(part: unknown, at: string, space: LabelSpace): string {
  const single: LabelSpace = { kind: 'single', classes: space.classes };
  if (space.kind === 'multiple') return `${at}: ${words(part, single)}`;
  if (!isRecord(part)) return `${at}: ${words(part, space)}`;
  if (labelText(part['label'], single) === null) return `${at}.label: ${words(part['label'], single)}`;
  return space.kind === 'span' ? spanFault(part, at, space) : boxFault(part, at);
}

/** What is wrong with a value that `labelText` takes for no label of `space`. */
export function labelFault(value: unknown, space: LabelSpace): string {
  const { kind } = space;
  if (kind !== 'multiple' && kind !== 'span' && kind !== 'box') return words(value, space);
  const parts = parsed(value);
  if (!Array.isArray(parts)) return words(value, space);
  const index = parts.findIndex((part) => labelText([part], space) === null);
  return index < 0
    ? `found a list of ${parts.length}; allowed: at most 1000 parts`
    : partFault(parts[index], `[${index}]`, space);
}

// What zod finds wrong with a request, in the words of all our faults: what was found, what is allowed. A schema that says
// its own words (`error`) keeps them.
import type { z } from '@hono/zod-openapi';
import type { FieldFault } from '../domain/failures.js';
import { described } from '../domain/fields.js';
import { nearestWord } from '../domain/nearest.js';

type RawIssue = z.core.$ZodRawIssue;

const kinds: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};
const parts: Record<string, string> = { string: 'characters', array: 'items', set: 'items' };

function sizeWords(issue: RawIssue & { code: 'too_small' | 'too_big' }): string {
  const [bound, word, open] =
    issue.code === 'too_small' ? [issue.minimum, 'at least', 'more than'] : [issue.maximum, 'at most', 'less than'];
  const of = parts[issue.origin];
  return `${issue.inclusive === false ? open : word} ${String(bound)}${of ? ` ${of}` : ''}`;
}

function allowedWords(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? String(issue.expected);
    case 'invalid_value':
      return issue.values.map(String).join(', ');
    case 'too_small':
    case 'too_big':
      return sizeWords(issue);
    case 'not_multiple_of':
      return `a multiple of ${String(issue.divisor)}`;
    case 'invalid_format':
      return issue.pattern ? `a text of the form ${issue.pattern}` : `a text of the form ${issue.format}`;
    case 'invalid_union':
      return 'one of the forms in /openapi.json';
    default:
      return 'another value';
  }
}

/** A size says more than the value that has it. */
function foundWords({ code, input }: RawIssue): string {
  const long = code === 'too_big' && typeof input === 'string';
  return long ? `${input.length} characters` : described(input);
}

/** A line for each unknown field of an object: zod has one issue for all of them, and `faultsOf` takes it apart. */
function unknownFields(keys: readonly string[], schema: unknown): string {
  const { shape = {} } = (schema as { shape?: object } | undefined) ?? {};
  const known = Object.keys(shape);
  const lines = keys.map((key) => {
    const nearest = nearestWord(key, known);
    const hint = nearest === null ? '' : `; did you mean "${nearest}"?`;
    return `found an unknown field; allowed: ${known.join(', ') || 'no other field'}${hint}`;
  });
  return lines.join('\n');
}

/** For `safeParse`: the message of an issue that no schema words. */
export function issueWords(issue: RawIssue): string {
  if (issue.code === 'unrecognized_keys') return unknownFields(issue.keys, issue.inst);
  return `found ${foundWords(issue)}; allowed: ${allowedWords(issue)}`;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

const mostFaults = 100;

/** zod's issues as faults with paths such as `annotations[3].label`; an unknown field is a fault at its own path. */
export function faultsOf(issues: readonly z.core.$ZodIssue[]): FieldFault[] {
  const faults = issues.slice(0, mostFaults).flatMap((issue): FieldFault[] => {
    const { message } = issue;
    if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message }];
    const lines = message.split('\n');
    return issue.keys.map((key, index) => ({
      path: pathOf([...issue.path, key.slice(0, 100)]),
      message: lines[index] ?? message,
    }));
  });
  return faults.slice(0, mostFaults);
}

// Bodies of requests: read up to a limit, decoded strictly, and refused when they hold what no part behind can keep.
import { createHash } from 'node:crypto';
import { parse as parseYaml, YAMLError } from 'yaml';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { invalid } from './problem.js';

export const jsonLimitBytes = 1_000_000;
/** For rows: predictions and pushes. */
export const rowsLimitBytes = 32_000_000;

const deepest = 64;
const longestText = 100_000;

function tooLarge(limit: number): Failure {
  return new Failure('TooLarge', `the body may have at most ${limit} bytes`);
}

/** Throws before reading when the length is announced, while reading otherwise. */
export async function readBytes(request: Request, limit: number): Promise<Buffer> {
  const announced = request.headers.get('content-length');
  if (Number(announced ?? '0') > limit) throw tooLarge(limit);
  // a body in one piece needs no stream around it, which costs more than the rest of a small request
  if (announced !== null && /^\d{1,15}$/.test(announced)) return readWhole(request, limit);
  if (!request.body) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Failure ? error : endedEarly(error);
  }
  return Buffer.concat(chunks);
}

async function readWhole(request: Request, limit: number): Promise<Buffer> {
  const bytes = await request.arrayBuffer().catch((error: unknown) => {
    throw endedEarly(error);
  });
  if (bytes.byteLength > limit) throw tooLarge(limit);
  return Buffer.from(bytes);
}

const endedEarly = (cause: unknown) => new Failure('InvalidRequest', 'the body ended early', { cause });

export type BodyKind = 'json' | 'yaml';

/** The type alone, in small letters; '' where none was sent. */
export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** By content type; a page of another origin can send neither without being asked first (CORS). */
export function bodyKind(contentType: string | undefined, takesYaml: boolean): BodyKind {
  const type = mediaTypeOf(contentType);
  if (type === 'application/json' || /^application\/[a-z0-9.-]+\+json$/.test(type)) return 'json';
  if (takesYaml && /^(application|text)\/(x-)?yaml$/.test(type)) return 'yaml';
  const known = takesYaml ? 'application/json or application/yaml' : 'application/json';
  throw new Failure('UnsupportedMediaType', `the content type must be ${known}`);
}

/** @throws Failure `InvalidRequest` where it is no UTF-8 */
export function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('', 'the body is not valid UTF-8');
  }
}

const longestYaml = 256 * 1024;

/** The parser's time grows faster than the text where brackets are nested: such a text is refused before it is read. */
function checkYaml(text: string): void {
  if (text.length > longestYaml) throw new Failure('TooLarge', `a YAML document has at most ${longestYaml} letters`);
  let depth = 0;
  for (const letter of text) {
    if (letter === '[' || letter === '{') depth += 1;
    else if (letter === ']' || letter === '}') depth -= 1;
    if (depth > deepest) throw invalid('', `the body is nested deeper than ${deepest} levels`);
  }
}

/** JSON or YAML as a value that is safe to walk, to store and to print. */
export function parseBody(bytes: Uint8Array, kind: BodyKind): Json {
  const text = decode(bytes);
  if (kind === 'yaml') checkYaml(text);
  let value: unknown;
  try {
    value = kind === 'json' ? JSON.parse(text) : parseYaml(text, { maxAliasCount: 100, prettyErrors: true });
  } catch (error) {
    const why = error instanceof YAMLError ? `: ${error.message.split('\n')[0] ?? ''}` : '';
    throw invalid('', `the body is not valid ${kind === 'json' ? 'JSON' : 'YAML'}${why}`);
  }
  checkValue(value);
  return value as Json;
}

/** A text that Postgres and UTF-8 can hold: no NUL, no half of a surrogate pair. */
export function textFault(text: string): string | null {
  if (text.length > longestText) return `has more than ${longestText} characters`;
  if (text.includes('\0')) return 'holds a NUL character';
  if (/\p{Surrogate}/u.test(text)) return 'holds half of a surrogate pair';
  return null;
}

/** Walks without recursion, so that depth is an answer and not a stack overflow. */
export function checkValue(root: unknown): void {
  const stack: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 1 }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { value, path, depth } = next;
    const fault = faultOf(value, depth);
    if (fault !== null) throw invalid(path, fault);
    if (Array.isArray(value)) {
      value.forEach((item, index) => stack.push({ value: item, path: `${path}[${index}]`, depth: depth + 1 }));
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        const keyFault = key === '__proto__' ? 'is a name that no field has' : textFault(key);
        if (keyFault !== null) throw invalid(path === '' ? printable(key) : `${path}.${printable(key)}`, keyFault);
        stack.push({ value: item, path: path === '' ? key : `${path}.${key}`, depth: depth + 1 });
      }
    }
  }
}

function printable(key: string): string {
  return key
    .slice(0, 100)
    .replaceAll('\0', '\\0')
    .replace(/\p{Surrogate}/gu, '\uFFFD');
}

function faultOf(value: unknown, depth: number): string | null {
  if (typeof value === 'string') return textFault(value);
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'is a number out of range';
  if (value === null || typeof value === 'boolean') return null;
  if (typeof value !== 'object') return `is of a kind that JSON does not have`;
  return depth > deepest ? `is nested more than ${deepest} deep` : null;
}

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

// Calls of the API from a page. A refusal carries the problem document; everything that may pass by itself is `Unreachable`.
import { token } from './session.js';

/** What is wrong with one field of what was sent. */
export interface FieldFault {
  path: string;
  message: string;
}

/** The API understood and said no. */
export class Refused extends Error {
  readonly status: number;
  /** `batch-closed` and the like. */
  readonly code: string;
  readonly faults: FieldFault[];

  constructor(status: number, code: string, message: string, faults: FieldFault[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.faults = faults;
  }
}

/** Nobody answered, or nobody who could: the same call later may work. */
export class Unreachable extends Error {}

interface Problem {
  type?: string;
  title?: string;
  detail?: string;
  errors?: FieldFault[];
}

export interface CallOptions {
  body?: unknown;
  /** Idempotency-Key. */
  key?: string;
  /** Goes on when the page is left. */
  keepalive?: boolean;
}

const patienceMs = 20_000;

async function send(method: string, path: string, { body, key, keepalive }: CallOptions): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  const secret = token();
  if (secret !== null) headers['authorization'] = `Bearer ${secret}`;
  if (key !== undefined) headers['idempotency-key'] = key;
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(path, {
      ...{ method, headers, cache: 'no-store', signal: AbortSignal.timeout(patienceMs), keepalive: keepalive ?? false },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new Unreachable(String(error));
  }
}

/** A call whose answer is bytes. @throws Refused, Unreachable */
export async function fetchBlob(path: string): Promise<Blob> {
  return (await accepted(await send('GET', path, {}))).blob();
}

/** A call whose answer is JSON. @throws Refused, Unreachable */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const response = await accepted(await send(method, path, options));
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw new Unreachable(String(error));
  }
}

async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response;
  const { status } = response;
  const problem = (await response.json().catch(() => ({}))) as Problem;
  const text = problem.detail ?? problem.title ?? `the answer was ${status}`;
  if (status >= 500 || status === 408 || status === 429) throw new Unreachable(text);
  throw new Refused(status, problem.type?.replace(/^.*\/problems\//, '') ?? 'unknown', text, problem.errors);
}

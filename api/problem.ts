// Failures as problem documents (RFC 9457). What is not in the catalogue is told to the log and to nobody else.
import { Failure, failureCode, failures, type FailureName } from '../domain/failures.js';
import type { ApiContext } from './deps.js';
import type { Log } from '../adapters/log.js';

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  requestId: string;
  errors: { path: string; message: string }[];
  [member: string]: unknown;
}

const reserved = new Set(['type', 'title', 'status', 'detail', 'instance', 'requestId', 'errors']);

/** An answer of 5xx says when to come back. */
const retryAfterSeconds: Partial<Record<FailureName, string>> = {
  Unavailable: '2',
  OutOfMemory: '5',
  ChildDied: '1',
  StoreFull: '60',
  DiskFull: '60',
  WorkerShutdown: '2',
};

/** Failures whose detail may name files, SQL or other insides. */
const silent = new Set<FailureName>(['Internal', 'ArtifactCorrupt', 'WorkflowLost']);

export function problemOf(failure: Failure, place: { instance: string; requestId: string }): Problem {
  const entry = failures[failure.failure];
  const members = Object.entries(failure.members).filter(([name]) => !reserved.has(name));
  const problem: Problem = {
    type: `/problems/${failureCode(failure.failure)}`,
    title: entry.title,
    status: entry.status,
    detail: silent.has(failure.failure) ? `the log has more under ${place.requestId}` : failure.message,
    ...place,
    errors: failure.faults.map(({ path, message }) => ({ path, message })),
    ...Object.fromEntries(members),
  };
  // clients of the Open Inference Protocol read this one word
  if (/^\/v2(\/|$)/.test(place.instance)) problem['error'] = problem.errors[0]?.message ?? problem.detail;
  return problem;
}

/** The one place where an error becomes an answer. */
export function renderError(c: ApiContext, error: unknown, log: Log): Response {
  const failure = error instanceof Failure ? error : new Failure('Internal', 'unexpected', { cause: error });
  const requestId = c.get('requestId') ?? 'req_unknown';
  const problem = problemOf(failure, { instance: c.req.path, requestId });
  if (problem.status >= 500) {
    log.error({ requestId, method: c.req.method, path: c.req.path, err: error }, 'api.request.failed');
  }
  const headers = new Headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  const wait = retryAfterSeconds[failure.failure];
  if (wait) headers.set('retry-after', wait);
  if (problem.status === 401) headers.set('www-authenticate', 'Bearer');
  const allowed = failure.members['allow'];
  if (problem.status === 405 && typeof allowed === 'string') headers.set('allow', allowed);
  for (const [name, value] of c.res?.headers ?? []) if (!headers.has(name)) headers.set(name, value);
  return new Response(c.req.method === 'HEAD' ? null : JSON.stringify(problem), { status: problem.status, headers });
}

export function invalid(path: string, message: string): Failure {
  return new Failure('InvalidRequest', path === '' ? message : `${path}: ${message}`, { faults: [{ path, message }] });
}

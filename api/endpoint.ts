// One operation of the API: its address, role, inputs, answers and handler in one declaration. The same declaration
// makes the route, the checks before the handler and the operation in the OpenAPI document.
import { z } from '@hono/zod-openapi';
import { Failure, type FailureName } from '../domain/failures.js';
import { canonicalJson, type Json } from '../domain/json.js';
import { bodyKind, jsonLimitBytes, parseBody, readBytes, sha256Of, textFault } from './body.js';
import { roleAllows, roles, type ApiContext, type ApiDeps, type Identity, type Role } from './deps.js';
import { faultsOf, issueWords } from './issue.js';
import { invalid } from './problem.js';

type Shape = Record<string, z.ZodType>;
type Values<S extends Shape> = z.infer<z.ZodObject<S>>;

export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

export interface ApiRequest<P = unknown, Q = unknown, B = unknown> {
  c: ApiContext;
  params: P;
  query: Q;
  body: B;
  /** sha256 of the canonical body, made when it is asked for. */
  readonly bodyDigest: string;
  /** `Idempotency-Key`, null when absent or when the operation takes none. */
  key: string | null;
  identity: Identity;
  requestId: string;
}

export interface EndpointSpec<P extends Shape, Q extends Shape, B extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'delete';
  /** With `{name}` for parameters. */
  path: string;
  tag: string;
  summary: string;
  /** The least role that may call it. There is no default: an endpoint without one is refused when the app is made. */
  role: Role;
  params?: P;
  query?: Q;
  body?: B;
  /** `optional`: an absent body counts as {}; `stream`: the handler reads the bytes itself. Default `required`. */
  bodyMode?: 'required' | 'optional' | 'stream';
  /** YAML is taken beside JSON. Default false. */
  yaml?: boolean;
  /** Default 1,000,000. */
  limitBytes?: number;
  /** Takes `Idempotency-Key`. Default false. */
  idempotent?: boolean;
  answers: Record<number, { description: string; schema?: z.ZodType; mediaType?: string }>;
  /** Of the catalogue, beside those that every operation may give. */
  problems?: readonly FailureName[];
}

export interface Endpoint {
  spec: EndpointSpec<Shape, Shape, z.ZodType>;
  handle(c: ApiContext, deps: ApiDeps): Promise<Response>;
}

/** Declares an operation. @throws TypeError without a role */
export function endpoint<P extends Shape, Q extends Shape, B extends z.ZodType>(
  spec: EndpointSpec<P, Q, B>,
  handler: (request: ApiRequest<Values<P>, Values<Q>, z.infer<B>>, deps: ApiDeps) => Promise<Answer | Response>,
): Endpoint {
  if (!roles.includes(spec.role)) throw new TypeError(`${spec.method} ${spec.path} declares no role`);
  // made once: a schema costs more than what it checks
  const paramsSchema = z.object(spec.params ?? {});
  const querySchema = z.object(spec.query ?? {});
  return {
    spec: spec as unknown as Endpoint['spec'],
    async handle(c, deps) {
      const identity = c.get('identity');
      requireRole(identity, spec.role);
      const params = readParams(c, paramsSchema) as Values<P>;
      const query = readQuery(c, querySchema) as Values<Q>;
      const key = readKey(c, spec.idempotent ?? false);
      const { body, sent } = await readBody(c, spec);
      const requestId = c.get('requestId');
      const request = {
        ...{ c, params, query, body: body as z.infer<B>, key, identity, requestId },
        get bodyDigest() {
          return sha256Of(sent === undefined ? '' : canonicalJson(sent));
        },
      };
      const answer = await handler(request, deps);
      if (answer instanceof Response) return answer;
      if (deps.checkAnswers) checkAnswer(spec as unknown as Endpoint['spec'], answer);
      return jsonAnswer(answer);
    },
  };
}

/** @throws Failure `Forbidden` */
export function requireRole(identity: Identity, needed: Role): void {
  if (roleAllows(identity.role, needed)) return;
  throw new Failure('Forbidden', `this needs the role ${needed}, the token has ${identity.role}`);
}

/** What cannot be an id or a name names nothing: 404, as for any unknown one. */
function readParams(c: ApiContext, schema: z.ZodObject): unknown {
  const parsed = schema.safeParse(c.req.param());
  if (parsed.success) return parsed.data;
  throw new Failure('NotFound', 'no address like this names anything');
}

function readQuery(c: ApiContext, schema: z.ZodObject): unknown {
  const given = c.req.queries();
  const { shape } = schema;
  const known = Object.keys(shape);
  const values: Record<string, string> = {};
  for (const [name, all] of Object.entries(given)) {
    if (!Object.hasOwn(shape, name)) {
      const list = known.length === 0 ? 'none is known here' : `known are ${known.join(', ')}`;
      throw invalid(name.slice(0, 100), `is not a parameter of this list; ${list}`);
    }
    const [value, second] = all;
    if (second !== undefined) throw invalid(name, 'is given more than once');
    const fault = textFault(value ?? '');
    if (fault !== null) throw invalid(name, fault);
    values[name] = value ?? '';
  }
  return checked(schema, values, 'the query is not valid');
}

function readKey(c: ApiContext, taken: boolean): string | null {
  const key = taken ? c.req.header('idempotency-key') : undefined;
  if (key === undefined) return null;
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) {
    throw invalid('Idempotency-Key', 'must be 1 to 200 printable ASCII characters without spaces');
  }
  return key;
}

async function readBody(
  c: ApiContext,
  spec: Pick<EndpointSpec<Shape, Shape, z.ZodType>, 'body' | 'bodyMode' | 'yaml' | 'limitBytes'>,
): Promise<{ body: unknown; sent?: Json }> {
  if (!spec.body || spec.bodyMode === 'stream') return { body: undefined };
  const bytes = await readBytes(c.req.raw, spec.limitBytes ?? jsonLimitBytes);
  let value: Json = {};
  if (bytes.length > 0 || spec.bodyMode !== 'optional') {
    value = parseBody(bytes, bodyKind(c.req.header('content-type'), spec.yaml ?? false));
  }
  return { body: checked(spec.body, value, 'the body is not valid'), sent: value };
}

/** Parses with a schema; every fault with its path. @throws Failure `InvalidRequest` */
export function checked<T extends z.ZodType>(schema: T, value: unknown, detail: string): z.infer<T> {
  const parsed = schema.safeParse(value, { error: issueWords });
  if (parsed.success) return parsed.data;
  const faults = faultsOf(parsed.error.issues);
  const [first] = faults;
  const words = first ? `${detail}: ${first.path === '' ? '' : `${first.path} `}${first.message}` : detail;
  throw new Failure('InvalidRequest', words, { faults });
}

function checkAnswer(spec: Endpoint['spec'], answer: Answer): void {
  const declared = spec.answers[answer.status];
  if (!declared) throw new Error(`${spec.method} ${spec.path} does not declare the status ${answer.status}`);
  const fault = declared.schema?.safeParse(JSON.parse(JSON.stringify(answer.body))).error;
  if (fault) throw new Error(`${spec.method} ${spec.path} answers otherwise than declared: ${fault.message}`);
}

export function jsonAnswer(answer: Answer): Response {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store', ...answer.headers };
  return new Response(JSON.stringify(answer.body), { status: answer.status, headers });
}

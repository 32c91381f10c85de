// The OpenAPI 3.1 document, made from the declared operations; docs/openapi.json is this text.
import { OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { failureCode, failures, type FailureName } from '../domain/failures.js';
import type { Endpoint } from './endpoint.js';
import { allEndpoints } from './routes.js';
import { problemSchema } from './schemas.js';

export type OpenApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>;
type Registry = OpenAPIHono['openAPIRegistry'];

const description = `Durable continuous training. Errors are problem documents (RFC 9457) whose \`type\` is \`/problems/<code>\`.
Lists take \`limit\` and \`cursor\`. Every POST that creates or decides takes \`Idempotency-Key\`: the same key and body give the same answer.`;

/** What any operation may answer beside its own. */
function commonProblems({ spec }: Endpoint): FailureName[] {
  const names: FailureName[] = [
    'Unauthenticated',
    'Forbidden',
    'InvalidRequest',
    'Unavailable',
    ...(spec.problems ?? []),
  ];
  if (spec.params) names.push('NotFound');
  if (spec.body) names.push('TooLarge', 'UnsupportedMediaType');
  if (spec.idempotent) names.push('IdempotencyKeyReused');
  return [...new Set(names)];
}

function problemResponses(endpoint: Endpoint): RouteConfig['responses'] {
  const byStatus = new Map<number, FailureName[]>();
  for (const name of commonProblems(endpoint)) {
    const { status } = failures[name];
    byStatus.set(status, [...(byStatus.get(status) ?? []), name]);
  }
  const entries = [...byStatus].map(([status, names]) => [
    String(status),
    {
      description: names.map((name) => `\`${failureCode(name)}\`: ${failures[name].title}`).join('; '),
      content: { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  return Object.fromEntries(entries) as RouteConfig['responses'];
}

function answerResponses({ spec }: Endpoint): RouteConfig['responses'] {
  const entries = Object.entries(spec.answers).map(([status, { description: text, schema, mediaType }]) => {
    const content = schema ? { [mediaType ?? 'application/json']: { schema } } : undefined;
    return [status, { description: text, ...(content ? { content } : {}) }];
  });
  return Object.fromEntries(entries) as RouteConfig['responses'];
}

function operationId({ spec }: Endpoint): string {
  const words = spec.path
    .replace('/api/v1', '')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
  return [spec.method, ...words]
    .map((word, index) => (index === 0 ? word : word[0]?.toUpperCase() + word.slice(1)))
    .join('');
}

const keyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .optional()
    .openapi({ description: '1 to 200 printable ASCII characters; the same key and body give the same answer' }),
});

function requestOf({ spec }: Endpoint): RouteConfig['request'] {
  const { params, query, body, bodyMode, yaml } = spec;
  const types = bodyMode === 'stream' ? ['application/octet-stream'] : ['application/json'];
  if (yaml) types.push('application/yaml');
  return {
    ...(params ? { params: z.object(params) } : {}),
    ...(query ? { query: z.object(query) } : {}),
    ...(spec.idempotent ? { headers: keyHeader } : {}),
    ...(body
      ? {
          body: {
            required: bodyMode !== 'optional',
            content: Object.fromEntries(types.map((type) => [type, { schema: body }])),
          },
        }
      : {}),
  } as RouteConfig['request'];
}

function routeConfig(endpoint: Endpoint): RouteConfig {
  const { spec } = endpoint;
  const request = requestOf(endpoint);
  return {
    method: spec.method,
    path: spec.path,
    operationId: operationId(endpoint),
    tags: [spec.tag],
    summary: spec.summary,
    'x-role': spec.role,
    security: [{ bearer: [] }],
    ...(request ? { request } : {}),
    responses: { ...answerResponses(endpoint), ...problemResponses(endpoint) },
  } as RouteConfig;
}

export function registerOperations(registry: Registry, endpoints: readonly Endpoint[]): void {
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  for (const endpoint of endpoints) registry.registerPath(routeConfig(endpoint));
}

export function openApiDocument(endpoints: readonly Endpoint[] = allEndpoints()): OpenApiDocument {
  const app = new OpenAPIHono();
  registerOperations(app.openAPIRegistry, endpoints);
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'perennial', version: '1', description, license: { name: 'MIT' } },
    servers: [{ url: '/' }],
  });
}

/** The text of docs/openapi.json. */
export function openApiText(): string {
  return `${JSON.stringify(openApiDocument(), null, 2)}\n`;
}

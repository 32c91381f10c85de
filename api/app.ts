// The HTTP application: checks that every request passes, the operations, the open addresses, and errors as problems.
import { OpenAPIHono } from '@hono/zod-openapi';
import { Failure } from '../domain/failures.js';
import type { ApiContext, ApiDeps, Env } from './deps.js';
import type { Endpoint } from './endpoint.js';
import { authenticate } from './middleware/authenticate.js';
import { hostCheck, originCheck } from './middleware/host-check.js';
import { createMetrics } from './middleware/metrics.js';
import { requestId } from './middleware/request-id.js';
import { securityHeaders } from './middleware/security-headers.js';
import { openApiDocument, registerOperations } from './openapi.js';
import { mountPages } from './pages/index.js';
import { renderError } from './problem.js';
import { allEndpoints } from './routes.js';
import { mountSystem } from './system.js';

/** `/a/{b}` as Hono writes it: `/a/:b`. */
function pattern(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

/** Which methods an address takes, for 405. */
function methodsOf(endpoints: readonly Endpoint[], path: string): string[] {
  const parts = path.split('/');
  const found = endpoints.filter(({ spec }) => {
    const own = spec.path.split('/');
    return own.length === parts.length && own.every((part, index) => part.startsWith('{') || part === parts[index]);
  });
  return [
    ...new Set(found.flatMap(({ spec }) => (spec.method === 'get' ? ['GET', 'HEAD'] : [spec.method.toUpperCase()]))),
  ];
}

function refuseUnknown(c: ApiContext, endpoints: readonly Endpoint[]): never {
  const allow = methodsOf(endpoints, c.req.path);
  if (allow.length > 0 && !allow.includes(c.req.method)) {
    throw new Failure('MethodNotAllowed', `this address takes ${allow.join(', ')}`, {
      members: { allow: allow.join(', ') },
    });
  }
  throw new Failure('NotFound', 'there is nothing at this address');
}

/** One object for server, tests and scripts: `createApp(deps).request('/healthz')`. */
export function createApp(deps: ApiDeps): OpenAPIHono<Env> {
  const app = new OpenAPIHono<Env>();
  const metrics = createMetrics();
  const endpoints = allEndpoints(metrics);
  app.onError((error, c) => renderError(c, error, deps.log));
  app.use(requestId, metrics.middleware, securityHeaders, hostCheck(deps.config), originCheck);
  app.use(authenticate(deps.db, deps.config));
  for (const { spec, handle } of endpoints) {
    app.on(spec.method.toUpperCase(), pattern(spec.path), (c) => {
      c.set('route', spec.path);
      return handle(c, deps);
    });
  }
  registerOperations(app.openAPIRegistry, endpoints);
  mountSystem(app, deps, metrics);
  mountPages(app, deps, openApiDocument(endpoints));
  app.notFound((c) => {
    try {
      return refuseUnknown(c, endpoints);
    } catch (error) {
      return renderError(c, error, deps.log);
    }
  });
  return app;
}

// Pages for people, rendered here: the start page, the API's description, and the document it is made of.
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, Env } from '../deps.js';
import type { OpenApiDocument } from '../openapi.js';
import { docsPage } from './docs.js';
import { pagePolicy } from './layout.js';
import { problemPage } from './problem.js';
import { startPage } from './start.js';

export function mountPages(app: OpenAPIHono<Env>, deps: ApiDeps, document: OpenApiDocument): void {
  const policy = { 'content-security-policy': pagePolicy, 'cache-control': 'no-store' };
  const docs = String(docsPage(document));
  app.get('/', async (c) => {
    c.set('route', '/');
    return c.html(await startPage(deps, c.get('identity')?.project ?? null), 200, policy);
  });
  app.get('/docs', (c) => {
    c.set('route', '/docs');
    return c.html(docs, 200, policy);
  });
  app.get('/problems/:code', (c) => {
    c.set('route', '/problems/{code}');
    const page = problemPage(c.req.param('code'));
    return page === null ? c.notFound() : c.html(String(page), 200, policy);
  });
  app.get('/openapi.json', (c) => {
    c.set('route', '/openapi.json');
    return c.json(document);
  });
}

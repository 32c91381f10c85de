// Pages for people: the start page, the API's description and the document it is made of, and the pages of web/.
import type { OpenAPIHono } from '@hono/zod-openapi';
import { assetAt } from '../../web/asset.js';
import { labelListPage, labelPage } from '../../web/labeling.js';
import { progressPage } from '../../web/progress.js';
import { type ApiDeps, type Env, roleAllows } from '../deps.js';
import { tokenRequired } from '../middleware/authenticate.js';
import type { OpenApiDocument } from '../openapi.js';
import { docsPage } from './docs.js';
import { pagePolicy } from './layout.js';
import { problemPage } from './problem.js';
import { startPage } from './start.js';

const policy = { 'content-security-policy': pagePolicy, 'cache-control': 'no-store' };
const batchPath = '/label/:batch{bat_[0-9a-z]{1,40}}';

function mountLabeling(app: OpenAPIHono<Env>, { db, config }: ApiDeps): void {
  app.get('/label', async (c) => {
    c.set('route', '/label');
    return c.html(await labelListPage(db, c.get('identity')?.project ?? null), 200, policy);
  });
  app.get(batchPath, (c) => {
    c.set('route', '/label/{batch}');
    return c.html(labelPage('label', c.req.param('batch'), tokenRequired(config)), 200, policy);
  });
  app.get(`${batchPath}/review`, (c) => {
    c.set('route', '/label/{batch}/review');
    return c.html(labelPage('review', c.req.param('batch'), tokenRequired(config)), 200, policy);
  });
  app.get(`${batchPath}/progress`, async (c) => {
    c.set('route', '/label/{batch}/progress');
    const identity = c.get('identity');
    const reader = identity ? { project: identity.project, reviewer: roleAllows(identity.role, 'reviewer') } : null;
    return c.html(await progressPage(db, c.req.param('batch'), reader), 200, policy);
  });
  app.get('/assets/*', (c) => {
    c.set('route', '/assets/*');
    const asset = assetAt(c.req.path);
    if (asset === null) return c.notFound();
    return c.body(asset.body, 200, {
      'content-type': asset.type,
      'cache-control': 'public, max-age=31536000, immutable',
    });
  });
}

export function mountPages(app: OpenAPIHono<Env>, deps: ApiDeps, document: OpenApiDocument): void {
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
  mountLabeling(app, deps);
  app.get('/openapi.json', (c) => {
    c.set('route', '/openapi.json');
    return c.json(document);
  });
}

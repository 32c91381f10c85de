// Pages for people: the start page, the API's description and the document it is made of, and the pages of web/.
import type { OpenAPIHono } from '@hono/zod-openapi';
import { Failure } from '../../domain/failures.js';
import { assetAt } from '../../web/asset.js';
import { campaignListPage, campaignPage, newCampaignPage } from '../../web/campaign/index.js';
import { labelListPage, labelPage } from '../../web/labeling.js';
import { progressPage } from '../../web/progress.js';
import { notFoundPage } from '../../web/not-found.js';
import type { Reader } from '../../web/reader.js';
import { type ApiContext, type ApiDeps, type Env, roleAllows, temporalUrl } from '../deps.js';
import { tokenRequired } from '../middleware/authenticate.js';
import type { OpenApiDocument } from '../openapi.js';
import { docsPage } from './docs.js';
import { pagePolicy } from './layout.js';
import { problemPage } from './problem.js';
import { startPage } from './start.js';

const policy = { 'content-security-policy': pagePolicy, 'cache-control': 'no-store' };
const batchPath = '/label/:batch{bat_[0-9a-z]{1,40}}';

/** Null: somebody without a token where one is needed. */
function readerOf(c: ApiContext): Reader | null {
  const identity = c.get('identity');
  if (!identity) return null;
  const { project, subject, role } = identity;
  return { project, name: subject, reviewer: roleAllows(role, 'reviewer'), operator: roleAllows(role, 'operator') };
}

/** The name that a page's script knows, where no token says who reads. */
function saidName(c: ApiContext): string | null {
  const name = c.req.query('labeler') ?? '';
  return name.length > 0 && name.length <= 200 && !name.includes('\0') ? name : null;
}

type Page = (c: ApiContext) => Promise<Response> | Response;

/** A page whose id nobody has says so as a page, not as a problem document. */
function orNotFound(page: Page): Page {
  return async (c) => {
    try {
      return await page(c);
    } catch (error) {
      if (!(error instanceof Failure) || error.failure !== 'NotFound') throw error;
      return c.html(notFoundPage(`${error.message}.`), 404, policy);
    }
  };
}

/** Below the pages' own addresses every other one has a page too. */
function mountNothing(app: OpenAPIHono<Env>): void {
  for (const path of ['/label/*', '/campaigns/*']) {
    app.get(path, (c) => {
      c.set('route', path);
      return c.html(notFoundPage('This address leads nowhere: is the id whole?'), 404, policy);
    });
  }
}

function mountLabeling(app: OpenAPIHono<Env>, { db, config }: ApiDeps): void {
  app.get('/label', async (c) => {
    c.set('route', '/label');
    return c.html(await labelListPage(db, readerOf(c), saidName(c)), 200, policy);
  });
  app.get(batchPath, (c) => {
    c.set('route', '/label/{batch}');
    return c.html(labelPage('label', c.req.param('batch'), tokenRequired(config)), 200, policy);
  });
  for (const page of ['review', 'reviewed'] as const) {
    app.get(`${batchPath}/${page}`, (c) => {
      c.set('route', `/label/{batch}/${page}`);
      return c.html(labelPage(page, c.req.param('batch'), tokenRequired(config)), 200, policy);
    });
  }
  const progress = orNotFound(async (c) => {
    c.set('route', '/label/{batch}/progress');
    return c.html(await progressPage(db, c.req.param('batch') ?? '', readerOf(c)), 200, policy);
  });
  app.get(`${batchPath}/progress`, progress);
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

function mountCampaigns(app: OpenAPIHono<Env>, deps: ApiDeps): void {
  const { db } = deps;
  app.get('/campaigns', async (c) => {
    c.set('route', '/campaigns');
    return c.html(await campaignListPage(db, readerOf(c), c.req.query('cursor') ?? null), 200, policy);
  });
  app.get('/campaigns/new', async (c) => {
    c.set('route', '/campaigns/new');
    return c.html(await newCampaignPage(db, readerOf(c)), 200, policy);
  });
  const campaign = orNotFound(async (c) => {
    c.set('route', '/campaigns/{id}');
    const asked = { db, id: c.req.param('id') ?? '', reader: readerOf(c) };
    return c.html(await campaignPage({ ...asked, temporalUrl: (id) => temporalUrl(deps, id) }), 200, policy);
  });
  app.get('/campaigns/:id{cam_[0-9a-z]{1,40}}', campaign);
}

export function mountPages(app: OpenAPIHono<Env>, deps: ApiDeps, document: OpenApiDocument): void {
  const docs = String(docsPage(document));
  app.get('/', async (c) => {
    c.set('route', '/');
    return c.html(await startPage(deps, readerOf(c), saidName(c)), 200, policy);
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
  mountCampaigns(app, deps);
  mountNothing(app);
  app.get('/openapi.json', (c) => {
    c.set('route', '/openapi.json');
    return c.json(document);
  });
}

// Addresses for machines that watch this one: is the process there, is all it needs there, what does it count.
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, Env } from './deps.js';
import type { Metrics } from './middleware/metrics.js';

export function mountSystem(app: OpenAPIHono<Env>, deps: ApiDeps, metrics: Metrics): void {
  app.get('/healthz', (c) => {
    c.set('route', '/healthz');
    return c.json({ ok: true });
  });
  app.get('/readyz', async (c) => {
    c.set('route', '/readyz');
    const { ok, checks } = await deps.ready();
    return c.json({ ok, checks }, ok ? 200 : 503);
  });
  app.get('/metrics', async (c) => {
    c.set('route', '/metrics');
    return c.body(await metrics.registry.metrics(), 200, { 'content-type': metrics.registry.contentType });
  });
}

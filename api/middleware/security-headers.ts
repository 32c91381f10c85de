// Headers that keep a browser from making more of an answer than it is. Pages set their own policy.
import { createMiddleware } from 'hono/factory';
import type { Env } from '../deps.js';

export const securityHeaders = createMiddleware<Env>(async (c, next) => {
  await next();
  // not c.header(), which would make the answer anew, once for each
  const { headers } = c.res;
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'no-referrer');
  headers.set('cross-origin-resource-policy', 'same-origin');
  if (!headers.has('x-frame-options')) headers.set('x-frame-options', 'DENY');
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  }
});

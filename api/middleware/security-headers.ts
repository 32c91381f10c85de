// Headers that keep a browser from making more of an answer than it is. Pages set their own policy.
import { createMiddleware } from 'hono/factory';
import type { Env } from '../deps.js';

export const securityHeaders = createMiddleware<Env>(async (c, next) => {
  await next();
  const { headers } = c.res;
  c.header('x-content-type-options', 'nosniff');
  c.header('referrer-policy', 'no-referrer');
  c.header('cross-origin-resource-policy', 'same-origin');
  if (!headers.has('x-frame-options')) c.header('x-frame-options', 'DENY');
  if (!headers.has('content-security-policy')) {
    c.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  }
});

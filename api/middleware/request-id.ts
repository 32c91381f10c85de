// Every request gets an id of its own, which its answer and its log lines carry.
import { createMiddleware } from 'hono/factory';
import { newId } from '../../db/id.js';
import type { Env } from '../deps.js';

export const requestId = createMiddleware<Env>(async (c, next) => {
  const id = newId('req');
  c.set('requestId', id);
  c.set('route', 'unmatched');
  await next();
  // not c.header(), which would make the answer anew with a stream around its body
  c.res.headers.set('x-request-id', id);
});

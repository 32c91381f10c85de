// Answers only under its own names, so that a foreign page cannot reach a local server by rebinding its DNS name,
// and takes unsafe requests only from its own pages or from programs.
import { createMiddleware } from 'hono/factory';
import { isLoopback } from '../../adapters/config.js';
import { Failure } from '../../domain/failures.js';
import type { Env } from '../deps.js';

const wildcards = new Set(['0.0.0.0', '::', '[::]']);

interface Named {
  hostname: string;
  port: string;
}

function splitHost(host: string): Named | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(host);
  return match ? { hostname: (match[1] as string).toLowerCase(), port: match[2] ?? '' } : null;
}

/** `port` 0: not known, any is taken (an app that listens nowhere). */
function isOwn({ hostname, port }: Named, own: { host: string; port: number }): boolean {
  if (wildcards.has(own.host)) return true;
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  const configured = hostname.replace(/^\[|\]$/g, '') === own.host.replace(/^\[|\]$/g, '').toLowerCase();
  if (!local && !configured) return false;
  return !isLoopback(own.host) || own.port === 0 || Number(port || '80') === own.port;
}

export function hostCheck(own: { host: string; port: number }) {
  return createMiddleware<Env>(async (c, next) => {
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    const named = splitHost(host);
    if (!named || !isOwn(named, own)) throw new Failure('ForeignHost', 'this host name is not one of this server');
    await next();
  });
}

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

export const originCheck = createMiddleware<Env>(async (c, next) => {
  if (!safe.has(c.req.method)) {
    const host = (c.req.header('host') ?? new URL(c.req.url).host).toLowerCase();
    const origin = c.req.header('origin')?.toLowerCase();
    const foreign = origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`;
    if (foreign || c.req.header('sec-fetch-site') === 'cross-site') {
      throw new Failure('ForeignOrigin', 'this request comes from a page of another origin');
    }
  }
  await next();
});

// Who asks: the subject of a bearer token, or on a loopback bind without a configured token an unknown admin.
import { createMiddleware } from 'hono/factory';
import type { Config } from '../../adapters/config.js';
import { isLoopback } from '../../adapters/config.js';
import type { Db } from '../../db/client.js';
import { findToken } from '../../db/token.js';
import { Failure } from '../../domain/failures.js';
import type { Env, Identity } from '../deps.js';

/** Addresses that say nothing of anybody's data. */
const openPaths = new Set(['/healthz', '/readyz', '/openapi.json', '/docs', '/favicon.ico']);

/** Pages that say nothing to a reader without a token but where to give one; a wrong token is refused as everywhere. */
function isFrame(path: string): boolean {
  return path === '/' || ['/label', '/campaigns'].some((page) => path === page || path.startsWith(`${page}/`));
}

export function tokenRequired(config: Pick<Config, 'host' | 'token'>): boolean {
  return !isLoopback(config.host) || config.token !== undefined;
}

async function identify(db: Db, authorization: string | undefined, required: boolean): Promise<Identity> {
  if (authorization === undefined) {
    if (required) throw new Failure('Unauthenticated', 'send Authorization: Bearer <token>');
    return { project: 'default', subject: null, role: 'admin' };
  }
  const secret = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1];
  const token = secret === undefined ? null : await findToken(db, secret);
  if (token === null) throw new Failure('Unauthenticated', 'this token is not valid');
  return { project: token.project, subject: token.subject, role: token.role };
}

export function authenticate(db: Db, config: Pick<Config, 'host' | 'token'>) {
  const required = tokenRequired(config);
  return createMiddleware<Env>(async (c, next) => {
    const { path } = c.req;
    const authorization = c.req.header('authorization');
    const bare = isFrame(path) && required && authorization === undefined;
    if (!openPaths.has(path) && !path.startsWith('/assets/') && !bare) {
      c.set('identity', await identify(db, authorization, required));
    }
    await next();
  });
}

// Bytes by their sha256. Whatever they are, a browser saves them; the one kind it may show is our HTML report, caged.
import { z } from '@hono/zod-openapi';
import { Readable } from 'node:stream';
import { artifactOf } from '../db/artifact.js';
import { isDigest, mediaTypes, type ArtifactRef } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import type { ApiContext, ApiDeps } from './deps.js';
import { endpoint, type Endpoint } from './endpoint.js';

const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')));
}

/** The bytes, checked on their way; 304 when the client has them. */
export function sendArtifact(c: ApiContext, deps: ApiDeps, file: ArtifactRef, name: string): Response {
  const etag = `"${file.digest}"`;
  const shared = { etag, 'cache-control': 'private, max-age=31536000, immutable' };
  if (matches(c.req.header('if-none-match'), etag)) return new Response(null, { status: 304, headers: shared });
  const report = file.mediaType === mediaTypes.html;
  const headers = {
    ...shared,
    'content-type': file.mediaType,
    'content-length': String(file.sizeBytes),
    'content-disposition': `${report ? 'inline' : 'attachment'}; filename="${name.replace(/[^A-Za-z0-9._-]/g, '_')}"`,
    ...(report ? { 'content-security-policy': reportPolicy } : {}),
  };
  if (c.req.method === 'HEAD') return new Response(null, { headers });
  const stream = Readable.toWeb(deps.artifacts.store.stream(file.digest)) as ReadableStream<Uint8Array>;
  return new Response(stream, { headers });
}

export function artifactEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/artifacts/{sha256}',
        tag: 'artifacts',
        summary: 'Bytes by sha256, with or without the prefix sha256:',
        role: 'viewer',
        params: { sha256: z.string().regex(/^(sha256:)?[0-9a-f]{64}$/) },
        answers: {
          200: {
            description: 'The bytes; ETag is their sha256',
            schema: z.string(),
            mediaType: 'application/octet-stream',
          },
          304: { description: 'If-None-Match names these bytes' },
        },
      },
      async ({ c, identity, params }, deps) => {
        const digest = params.sha256.startsWith('sha256:') ? params.sha256 : `sha256:${params.sha256}`;
        const file = isDigest(digest) ? await artifactOf(deps.db, identity.project, digest) : null;
        if (file === null) throw new Failure('NotFound', 'there are no bytes of that sha256');
        return sendArtifact(c, deps, file, digest.slice('sha256:'.length));
      },
    ),
  ];
}

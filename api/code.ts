// Code directories of programs that train or check: uploaded as tar, kept as a canonical one, known by its digest.
import { z } from '@hono/zod-openapi';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { codeLimits, packFolder, readFolder, unpackFolder } from '../adapters/folder/index.js';
import { inScratchFolder } from '../adapters/scratch.js';
import type { Tx } from '../db/client.js';
import { hasCode, keepCode } from '../db/code.js';
import { type Digest, mediaTypes } from '../domain/artifact.js';
import { segmentsOf } from '../domain/document.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import { programsOf } from '../domain/program.js';
import { mediaTypeOf } from './body.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { once } from './once.js';
import { allowedPath } from './source.js';
import { receive } from './upload.js';

/** Of the archive as sent. */
const uploadLimitBytes = 256 * 1024 ** 2;

const codeSchema = z
  .looseObject({ digest: z.string(), files: z.int(), sizeBytes: z.int() })
  .openapi('Code', { description: 'A directory; equal content has the same digest' });

export interface PackedCode {
  digest: Digest;
  files: number;
  sizeBytes: number;
}

async function put(deps: ApiDeps, folder: string): Promise<PackedCode> {
  const found = await readFolder(folder, codeLimits);
  if (found.files.length === 0) throw new Failure('CodeRefused', 'there is no file in it');
  const { digest } = await deps.artifacts.putBytes(packFolder(folder, found), mediaTypes.tar);
  return { digest, files: found.files.length, sizeBytes: found.sizeBytes };
}

/** Puts a folder of this machine into the store. @throws Failure `SourceNotFound`, `CodeRefused`, `StoreFull` */
async function putDirectory(deps: ApiDeps, path: string, field: string): Promise<PackedCode> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) return put(deps, path);
  const message = `found ${found ? 'a file' : 'nothing'} there; allowed: a folder where the API runs`;
  throw new Failure('SourceNotFound', 'there is no such folder', { faults: [{ path: field, message }] });
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

/** The tar within, unzipped where it is zipped. */
async function archiveOf(path: string): Promise<AsyncIterable<Uint8Array>> {
  const file = createReadStream(path);
  if (!(await isGzip(path))) return file;
  const plain = createGunzip();
  // the error arrives at whoever reads
  pipeline(file, plain, () => undefined);
  return plain;
}

async function unpack(path: string, folder: string): Promise<void> {
  try {
    await unpackFolder(await archiveOf(path), folder, codeLimits);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code.startsWith('Z_')) throw new Failure('CodeRefused', 'the archive is broken: it cannot be unzipped');
    throw error;
  }
}

/** What is certainly no archive; programs that send one name many types for it, or none. */
const noArchive = /^(application\/(json|x-yaml|yaml|[a-z0-9.-]+\+json)|multipart\/.*)$/;

function requireArchive(contentType: string | undefined): void {
  const type = mediaTypeOf(contentType);
  if (!noArchive.test(type)) return;
  const allowed = 'application/x-tar, application/gzip or application/octet-stream';
  throw new Failure('UnsupportedMediaType', `found ${type}; allowed: a tar archive as the body itself, as ${allowed}`);
}

async function upload(request: ApiRequest, deps: ApiDeps) {
  requireArchive(request.c.req.header('content-type'));
  return inScratchFolder(join(deps.config.home, 'tmp'), 'code', async (scratch) => {
    const body = join(scratch, 'body');
    const bodyDigest = await receive(request.c.req.raw, body, uploadLimitBytes);
    await unpack(body, join(scratch, 'code'));
    const packed = await put(deps, join(scratch, 'code'));
    return once({ ...request, bodyDigest }, deps, async (tx) => {
      const isNew = await keepCode(tx, request.identity.project, packed.digest);
      return { status: isNew ? 201 : 200, body: packed };
    });
  });
}

/** Directories of programs are packed now: what is stored names their content and no path (architecture, rule 9). */
export async function pinCode(
  source: Json,
  document: PipelineDocument,
  deps: ApiDeps,
): Promise<{ source: Json; packed: Set<Digest> }> {
  const copy = structuredClone(source) as { [key: string]: Json };
  const packed = new Set<Digest>();
  for (const { path, params } of programsOf(document, Array.isArray(copy['trainer']))) {
    if (params.directory === null) continue;
    const field = `${path}.directory`;
    const { digest } = await putDirectory(deps, allowedPath(params.directory, field, deps.config), field);
    const sent = segmentsOf(path).reduce<Json>((place, name) => (place as { [key: string]: Json })[name] ?? null, copy);
    const written = sent as { [key: string]: Json };
    delete written['directory'];
    written['code'] = digest;
    packed.add(digest);
  }
  return { source: copy, packed };
}

/** What was packed for this document is kept with it; what it names must have been uploaded. */
export async function keepTheCode(
  tx: Tx,
  project: string,
  document: PipelineDocument,
  packed: Set<Digest>,
): Promise<void> {
  for (const { path, params } of programsOf(document, document.trainers.length > 1)) {
    const { code } = params;
    if (code === null) continue;
    if (packed.has(code)) await keepCode(tx, project, code);
    else if (!(await hasCode(tx, project, code))) {
      const message = `found ${code}; allowed: what POST /api/v1/code has answered`;
      throw new Failure('InvalidPipeline', 'no such code was uploaded', {
        faults: [{ path: `${path}.code`, message }],
      });
    }
  }
}

export function codeEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/code',
        tag: 'code',
        summary: 'Upload the directory of a program: the body is a tar archive, gzip is recognised',
        role: 'operator',
        body: z.string().openapi({ format: 'binary' }),
        bodyMode: 'stream',
        idempotent: true,
        answers: {
          200: { description: 'The project had this directory already', schema: codeSchema },
          201: { description: 'Kept', schema: codeSchema },
        },
        problems: ['CodeRefused', 'TooLarge', 'StoreFull'],
      },
      upload,
    ),
  ];
}

// Paths that a pipeline document names: where they lie on this server, and whether they may be read.
import { isAbsolute, relative, resolve } from 'node:path';
import type { Config } from '../adapters/config.js';
import { isLoopback } from '../adapters/config.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';

type Where = Pick<Config, 'host' | 'sources'>;

/** Relative paths are the server's; off loopback only files below one folder may be named. */
export function allowedPath(path: string, field: string, config: Where): string {
  const absolute = resolve(path);
  if (isLoopback(config.host)) return absolute;
  const inside = config.sources === undefined ? '..' : relative(config.sources, absolute);
  if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)) return absolute;
  throw new Failure('SourceNotAllowed', 'files are read only below the folder that PERENNIAL_SOURCES names', {
    faults: [{ path: field, message: 'lies outside the allowed folder' }],
  });
}

export function resolveSource(source: Json, document: PipelineDocument, config: Where): Json {
  const path = document.dataset.source?.path;
  if (path === undefined) return source;
  const absolute = allowedPath(path, 'dataset.source.path', config);
  const copy = structuredClone(source) as { dataset: { source: { path: string } } };
  copy.dataset.source.path = absolute;
  return copy as unknown as Json;
}

// Files that pages load from their own server: the style and the client's modules, read once. Their address carries a
// digest of all of them, so a browser may keep them for ever and never mixes two versions.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { projectRoot } from '../adapters/paths.js';

export interface Asset {
  body: string;
  type: string;
}

const types: Record<string, string> = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The client's modules as bin/run.mjs left them, without their source maps: those name paths of this machine. */
function read(): { digest: string; files: Map<string, Asset> } {
  const client = join(projectRoot, 'dist/web/client');
  const files = new Map<string, Asset>();
  const add = (name: string, path: string) => {
    const body = readFileSync(path, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
    files.set(name, { body, type: types[name.split('.').at(-1) ?? ''] ?? 'text/plain; charset=utf-8' });
  };
  add('style.css', join(projectRoot, 'web/style.css'));
  for (const path of filesBelow(client)) {
    if (path.endsWith('.js')) add(`client/${relative(client, path).split(sep).join('/')}`, path);
  }
  const all = createHash('sha256');
  for (const [name, { body }] of files) all.update(`${name}\0${body}\0`);
  return { digest: all.digest('hex').slice(0, 16), files };
}

let known: ReturnType<typeof read> | undefined;

function assets(): ReturnType<typeof read> {
  return (known ??= read());
}

/** Where a file is: `/assets/<digest>/style.css`. */
export function assetPath(name: string): string {
  return `/assets/${assets().digest}/${name}`;
}

/** The file at such a path; null for another version or name. */
export function assetAt(path: string): Asset | null {
  const [, digest, name] = /^\/assets\/([0-9a-f]{16})\/(.+)$/.exec(path) ?? [];
  return digest === assets().digest ? (assets().files.get(name ?? '') ?? null) : null;
}

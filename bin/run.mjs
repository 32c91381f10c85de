#!/usr/bin/env node
// Runs one entry of the project: `node bin/run.mjs <entry.ts> [args]`.
// The TypeScript tree is transpiled file by file to dist/ (esbuild, changed files only, ~0.2 s when cold), so that
// every process starts as plain Node: no loader, no compiler in memory. In an image dist/ is complete and nothing is built.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const skipped = new Set(['node_modules', 'dist', 'test-results', 'coverage']);

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || skipped.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.tsx?$/.test(entry.name) && !/\.(test|d|test-d)\.tsx?$/.test(entry.name)) yield path;
  }
}

/** Transpiles what changed. A file's output carries its source's mtime, so two processes may build at once. */
async function build() {
  const stale = [];
  for (const path of sources(root)) {
    const out = join(dist, relative(root, path).replace(/\.tsx?$/, '.js'));
    const { mtime, mtimeMs } = statSync(path);
    if (!existsSync(out) || Math.abs(statSync(out).mtimeMs - mtimeMs) > 1) stale.push({ path, out, mtime });
  }
  if (stale.length === 0) return;
  const { transform } = await import('esbuild');
  const { utimesSync } = await import('node:fs');
  await Promise.all(
    stale.map(async ({ path, out, mtime }) => {
      const result = await transform(readFileSync(path, 'utf8'), {
        loader: path.endsWith('x') ? 'tsx' : 'ts',
        format: 'esm',
        target: 'node20',
        sourcemap: 'inline',
        sourcefile: path,
        jsx: 'automatic',
        jsxImportSource: 'hono/jsx',
      });
      mkdirSync(dirname(out), { recursive: true });
      const temporary = `${out}.${process.pid}.tmp`;
      writeFileSync(temporary, result.code);
      utimesSync(temporary, mtime, mtime);
      renameSync(temporary, out);
    }),
  );
}

if (!existsSync(join(root, 'package.json'))) throw new Error(`no package.json in ${root}`);
const [entry] = process.argv.slice(2);
if (entry === '--build') {
  rmSync(dist, { recursive: true, force: true });
  await build();
} else if (!entry) {
  console.error('usage: node bin/run.mjs <entry.ts> [arguments]');
  process.exitCode = 2;
} else {
  if (process.env.PERENNIAL_PREBUILT !== '1') await build();
  process.setSourceMapsEnabled(true);
  process.argv.splice(1, 2, join(root, entry));
  await import(pathToFileURL(join(dist, entry.replace(/\.tsx?$/, '.js'))).href);
}

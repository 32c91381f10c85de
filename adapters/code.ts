// What computes, as one digest: our own code that a result can depend on, the pinned libraries and the machine. Another one
// finds no stored result: nothing is reused across a change of code.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectRoot } from './paths.js';

const folders = ['activities', 'adapters', 'domain', 'ml', 'stats', 'workers'];

async function* files(folder: string, extension: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path, extension);
    else if (entry.name.endsWith(extension)) yield path;
  }
}

/** sha256 over the files below `root` that compute, the dependencies in package.json, and the kind of machine. */
export async function codeDigest(
  root = dirname(dirname(fileURLToPath(import.meta.url))),
  extension = extname(fileURLToPath(import.meta.url)),
): Promise<string> {
  const hash = createHash('sha256');
  const { dependencies } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  hash.update(JSON.stringify([dependencies, process.version, process.platform, process.arch]));
  for (const folder of folders) {
    for await (const path of files(join(root, folder), extension)) {
      // the source map of a built file names the folder it was built in
      const text = (await readFile(path, 'utf8')).replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
      hash.update(`\0${relative(root, path)}\0${text}`);
    }
  }
  return `sha256:${hash.digest('hex')}`;
}

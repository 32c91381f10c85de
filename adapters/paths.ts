// Where the project lies on disk, found the same way from the sources and from dist/.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(from: string): string {
  let folder = from;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${from}`);
    folder = parent;
  }
  return folder;
}

/** The folder that holds package.json. */
export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The arguments of `node` that start one of our entries (`workers/trainer.ts`) as a process of its own. */
export function entryArguments(entry: string): string[] {
  return [join(projectRoot, 'bin/run.mjs'), entry];
}

// The workflow bundle: made once per content of workflows/, domain/ and stats/, kept in dist/, shared by all processes.
import { createHash } from 'node:crypto';
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { projectRoot } from '../adapters/paths.js';

async function contentHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['workflows', 'domain', 'stats']) {
    const path = join(projectRoot, 'dist', folder);
    for (const name of (await readdir(path)).filter((file) => file.endsWith('.js')).sort()) {
      // The inline source map names the builder's paths; it says nothing about the code.
      const code = (await readFile(join(path, name), 'utf8')).replace(/\n\/\/# sourceMappingURL=.*/s, '');
      hash.update(`${folder}/${name}\0${code}\0`);
    }
  }
  const sdk = JSON.parse(await readFile(join(projectRoot, 'node_modules/@temporalio/worker/package.json'), 'utf8')) as {
    version: string;
  };
  return hash.update(sdk.version).digest('hex').slice(0, 16);
}

/** Path of the bundle for the present code; bundles it first where that was not done yet (about 2 s). */
export async function workflowBundle(): Promise<string> {
  const path = join(projectRoot, 'dist', `workflow-bundle-${await contentHash()}.js`);
  if (await stat(path).catch(() => null)) return path;
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(projectRoot, 'dist/workflows/index.js'),
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error },
  });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, code);
  await rename(temporary, path);
  return path;
}

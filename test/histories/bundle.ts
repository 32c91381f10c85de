// The workflow bundle of the sources, or of a copy with one change, as replay takes it.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { projectRoot } from '../../adapters/paths.js';

const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error };

function bundle(root: string): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: join(root, 'workflows/index.ts'), logger: quiet });
}

export function presentWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  return bundle(projectRoot);
}

/** The same workflows, with the first `from` in `file` replaced by `to`. */
export async function changedWorkflows(file: string, from: string, to: string): Promise<WorkflowBundleWithSourceMap> {
  const root = mkdtempSync(join(tmpdir(), 'perennial-replay-'));
  try {
    for (const folder of ['workflows', 'domain', 'stats']) {
      cpSync(join(projectRoot, folder), join(root, folder), { recursive: true });
    }
    symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
    const path = join(root, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} no longer has ${from}`);
    writeFileSync(path, text.replace(from, to));
    return await bundle(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

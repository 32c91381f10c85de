// Starts perennial for the demo in a home of its own, and stops it again. The supervisor is detached, so that `--keep`
// can leave it running; what it prints about setting up is shown as it comes.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { entryArguments, projectRoot } from '../../adapters/paths.js';

export interface DemoSystem {
  api: string;
  temporalUi: string | null;
  stop(): Promise<void>;
}

async function runEntry(entry: string, home: string): Promise<void> {
  const child = spawn(process.execPath, entryArguments(entry), {
    cwd: projectRoot,
    env: { ...process.env, PERENNIAL_HOME: home },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await new Promise<void>((resolve) => child.once('exit', () => resolve()));
}

/** Empties `home` (stopping what an earlier `--keep` left there) and starts everything on free ports. */
export async function startDemoSystem(home: string): Promise<DemoSystem> {
  await runEntry('workers/stop.ts', home);
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  const errors = await open(join(home, 'supervisor.log'), 'a');
  const supervisor = spawn(process.execPath, entryArguments('workers/supervisor.ts'), {
    cwd: projectRoot,
    env: { ...process.env, PERENNIAL_HOME: home, PERENNIAL_PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  supervisor.stderr.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    void errors.write(chunk);
  });
  const ready = await readyLine(supervisor);
  const [, api = '', ui = ''] = /ready: (\S+) · Temporal UI: (\S+)/.exec(ready) ?? [];
  return { api, temporalUi: ui.startsWith('http') ? ui : null, stop: () => stopSystem(supervisor, home) };
}

function readyLine(supervisor: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    supervisor.once('exit', (code) => reject(new Error(`perennial did not start (exit code ${code ?? 'none'})`)));
    if (!supervisor.stdout) return;
    createInterface({ input: supervisor.stdout }).on('line', (line) => {
      if (line.startsWith('perennial is ready')) resolve(line);
      else process.stderr.write(`${line}\n`);
    });
  });
}

async function stopSystem(supervisor: ChildProcess, home: string): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    if (supervisor.exitCode !== null) resolve();
    else supervisor.once('exit', () => resolve());
  });
  supervisor.kill('SIGTERM');
  await gone;
  await runEntry('workers/stop.ts', home);
}

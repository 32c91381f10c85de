// A Python with pinned packages for the other side of a bench: a virtual environment in the user's cache, made once.
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Path of the interpreter, or the reason why there is none. `name` is the folder, and says what is in it. */
export async function pythonWith(name: string, requirements: readonly string[]): Promise<string | { reason: string }> {
  const cache = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir(), '.cache');
  const folder = join(cache, 'perennial', name);
  const python = join(folder, 'bin', 'python');
  const ready = join(folder, 'installed.txt');
  if (existsSync(ready)) return python;
  try {
    mkdirSync(dirname(folder), { recursive: true });
    if (!existsSync(python)) await run('python3', ['-m', 'venv', folder]);
    console.error(`installing ${requirements.join(', ')}: once per machine`);
    await run(python, ['-m', 'pip', 'install', '--quiet', ...requirements], { timeout: 1_800_000 });
    writeFileSync(ready, `${requirements.join('\n')}\n`);
    return python;
  } catch (error) {
    rmSync(ready, { force: true });
    return { reason: (error instanceof Error ? error.message : String(error)).split('\n').slice(0, 2).join(' ') };
  }
}

/** A program that answers each line on its stdin with one line of JSON. */
export interface Answering {
  ask(line: string): Promise<number>;
  end(): void;
}

/** `program`: Python source. It runs with one thread wherever libraries ask the environment. */
export function startPython(python: string, program: string): Answering {
  const single = { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  const child: ChildProcessWithoutNullStreams = spawn(python, ['-c', program], { env: { ...process.env, ...single } });
  const waiting: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2_000)));
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(Number(JSON.parse(line))));
  child.on('close', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`python ended with ${code}: ${stderr}`));
  });
  return {
    ask: (line) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${line}\n`);
      }),
    end: () => child.stdin.end(),
  };
}

// The environment that a code directory declares: a virtual environment of its lock file, made once for equal (lock file,
// Python, platform) and cached; or nothing, and the program runs with what the host has.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Digest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import { canonicalJson } from '../../domain/json.js';
import { withLock } from '../embedded/process.js';
import { scratchPath, sweepScratch } from '../scratch.js';
import { withoutSecrets } from './output.js';

export const lockFile = 'requirements.txt';
const mostLines = 2_000;
const buildMs = 3_600_000;
const tailLines = 15;
const readyName = 'ready.json';

/** What a directory asks for; `requirements` is null where it asks for nothing. */
export interface DeclaredEnvironment {
  /** Part of what the result depends on. */
  digest: Digest;
  /** For a person: `CPython 3.11.7, 12 packages`. */
  note: string;
  requirements: Requirement[] | null;
}

export interface Environment {
  /** Put before PATH; null: the host's alone. */
  bin: string | null;
  variables: Record<string, string>;
}

export interface EnvironmentOptions {
  /** Folder of the cache. */
  cache: string;
  /** Default `python3`. */
  python?: string;
  /** Lines of what is going on, where it takes long. */
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
  secrets?: readonly string[];
}

const digestOf = (value: string): Digest => `sha256:${createHash('sha256').update(value).digest('hex')}`;

interface Requirement {
  name: string;
  /** Without comments, with hashes where given. */
  line: string;
  hashed: boolean;
}

const pinned = /^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9,._ -]+\])?\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)$/;

/** Lines of a lock file: `name==version`, with markers and hashes. Throws `EnvironmentInvalid` naming the first that is not. */
export function parseLock(text: string): Requirement[] {
  const joined = text.replaceAll('\r\n', '\n').replace(/\\\n/g, ' ').split('\n');
  const lines = joined.map((line) => line.replace(/(^|\s)#.*$/, '').trim()).filter((line) => line !== '');
  if (lines.length > mostLines) throw new Failure('EnvironmentInvalid', `${lockFile} has more than ${mostLines} lines`);
  return lines.map((line) => {
    const hashes = line.match(/--hash=sha256:[0-9a-f]{64}/g) ?? [];
    const [requirement = '', marker] = line.replace(/\s*--hash=sha256:[0-9a-f]{64}(?=\s|$)/g, '').split(';');
    const name = pinned.exec(requirement.trim())?.[1];
    if (name === undefined) {
      const shown = JSON.stringify(line.slice(0, 100));
      throw new Failure('EnvironmentInvalid', `${lockFile}: ${shown} is not pinned as name==version`);
    }
    const condition = marker === undefined ? '' : ` ; ${marker.trim()}`;
    return { name, line: [requirement.trim() + condition, ...hashes].join(' '), hashed: hashes.length > 0 };
  });
}

interface Python {
  version: string;
  platform: string;
  implementation: string;
}

const describe =
  'import json, platform, sysconfig; print(json.dumps(dict(version=platform.python_version(), platform=sysconfig.get_platform(), implementation=platform.python_implementation())))';

async function probePython(python: string): Promise<Python> {
  try {
    const { stdout } = await promisify(execFile)(python, ['-I', '-c', describe], { timeout: 30_000 });
    return JSON.parse(stdout) as Python;
  } catch (error) {
    const why = (error as Error).message.split('\n')[0] ?? '';
    throw new Failure('EnvironmentFailed', `the directory has a ${lockFile}, but ${python} does not run: ${why}`);
  }
}

/** Variables that installers need of ours, and no others. */
const installerVariables =
  /^(PATH|HOME|USER|LANG|LC_.*|TMPDIR|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|XDG_CACHE_HOME|https?_proxy|no_proxy)$/i;

function installerEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => installerVariables.test(name)));
}

/** Runs one tool to its end; its lines are progress, its last lines the failure. */
async function runTool(command: string[], options: EnvironmentOptions): Promise<void> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { env: installerEnvironment(), detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // it is gone
    }
  };
  const lines: string[] = [];
  const take = (line: string) => {
    const shown = withoutSecrets(line, options.secrets ?? []);
    if (lines.push(shown) > tailLines) lines.shift();
    options.onProgress?.(shown);
  };
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', take);
  options.signal?.addEventListener('abort', kill, { once: true });
  const timer = setTimeout(kill, buildMs);
  const how = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? null : (signal ?? `code ${code}`)));
  });
  clearTimeout(timer);
  options.signal?.removeEventListener('abort', kill);
  options.signal?.throwIfAborted();
  if (how !== null)
    throw new Failure('EnvironmentFailed', `${args.slice(0, 4).join(' ')}: ${how}\n${lines.join('\n')}`);
}

/** Scripts of an environment name their Python by its absolute path; it is about to have another one. */
async function moveScripts(from: string, to: string): Promise<void> {
  const folder = join(from, 'bin');
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(folder, entry.name);
    const bytes = await readFile(path);
    const text = bytes.toString('utf8');
    if (bytes.includes(0) || !text.includes(from)) continue;
    await writeFile(path, text.replaceAll(from, to));
  }
}

async function build(target: string, requirements: Requirement[], options: EnvironmentOptions): Promise<void> {
  const { python = 'python3' } = options;
  const folder = scratchPath(options.cache, 'environment');
  try {
    await runTool([python, '-m', 'venv', '--without-pip', '--prompt', 'program', folder], options);
    const list = join(folder, lockFile);
    await writeFile(list, `${requirements.map(({ line }) => line).join('\n')}\n`);
    // wheels run no code of theirs while they are installed; nothing comes that the lock file does not name
    const hashes = requirements.some(({ hashed }) => hashed) ? ['--require-hashes'] : [];
    const flags = [
      '--no-deps',
      '--only-binary',
      ':all:',
      '--no-compile',
      '--no-input',
      '--progress-bar',
      'off',
      ...hashes,
    ];
    const inside = join(folder, 'bin', 'python');
    if (requirements.length > 0) {
      await runTool([python, '-m', 'pip', '--python', inside, 'install', ...flags, '-r', list], options);
    }
    options.onProgress?.('compiling');
    await runTool(
      [inside, '-I', '-S', '-m', 'compileall', '-q', '-j', '0', '-s', folder, '-p', target, join(folder, 'lib')],
      options,
    ).catch(
      // packages hold files of other Pythons, which do not compile
      () => options.signal?.throwIfAborted(),
    );
    await moveScripts(folder, target);
    await writeFile(join(folder, readyName), JSON.stringify({ packages: requirements.length }));
    // a file system shared with another host may have got it from there meanwhile
    await rename(folder, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw new Failure('StoreFull', 'the disk is full');
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function isReady(target: string): Promise<boolean> {
  return readFile(join(target, readyName)).then(
    () => true,
    () => false,
  );
}

const folderOf = (cache: string, digest: Digest): string =>
  join(cache, digest.slice('sha256:'.length, 'sha256:'.length + 32));

/** Whether nothing is left to be made, in that cache. */
export async function isPrepared({ digest, requirements }: DeclaredEnvironment, cache: string): Promise<boolean> {
  return requirements === null || isReady(folderOf(cache, digest));
}

/**
 * What the directory declares. Throws `EnvironmentInvalid` for a lock file that is not complete, `EnvironmentFailed` where
 * there is one and no Python.
 */
export async function declaredEnvironment(
  code: string,
  { python = 'python3', program = '' }: { python?: string; program?: string } = {},
): Promise<DeclaredEnvironment> {
  const text = await readFile(join(code, lockFile), 'utf8').catch(() => null);
  if (text === null) return hostEnvironment(program);
  const requirements = parseLock(text);
  const found = await probePython(python);
  const lines = requirements.map(({ line }) => line).sort();
  const note = `${found.implementation} ${found.version}, ${requirements.length} packages`;
  return { digest: digestOf(canonicalJson({ lines, ...found })), note, requirements };
}

/** Another host, or another file behind the program's name, is another environment: what it was given is not known. */
async function hostEnvironment(program: string): Promise<DeclaredEnvironment> {
  const places = program.includes('/') ? [program] : pathFolders().map((folder) => join(folder, program));
  let file: { path: string; sizeBytes: number; changedMs: number } | null = null;
  for (const place of places) {
    const path = await realpath(place).catch(() => null);
    const found = path === null ? null : await stat(path).catch(() => null);
    if (path === null || !found?.isFile()) continue;
    file = { path, sizeBytes: found.size, changedMs: Math.floor(found.mtimeMs) };
    break;
  }
  const digest = digestOf(canonicalJson({ host: hostname(), file }));
  return { digest, note: 'what the host has', requirements: null };
}

const pathFolders = (): string[] => (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');

/**
 * That environment; made where the cache does not have it, by one of those that ask for it at once. Throws
 * `EnvironmentFailed` with the tool's last lines.
 */
export async function prepareEnvironment(
  { digest, requirements }: DeclaredEnvironment,
  options: EnvironmentOptions,
): Promise<Environment> {
  if (requirements === null) return { bin: null, variables: {} };
  const target = folderOf(options.cache, digest);
  if (!(await isReady(target))) {
    await mkdir(options.cache, { recursive: true });
    const lock = { timeoutMs: buildMs, what: `the environment ${target}` };
    const onWait = () => options.onProgress?.('another training makes this environment');
    await withLock(`${target}.lock`, { ...lock, onWait }, async () => {
      options.signal?.throwIfAborted();
      if (await isReady(target)) return;
      await sweepScratch(options.cache);
      await build(target, requirements, options);
    });
  }
  return { bin: join(target, 'bin'), variables: { VIRTUAL_ENV: target } };
}

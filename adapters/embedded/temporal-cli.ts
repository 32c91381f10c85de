// Where the `temporal` program comes from: TEMPORAL_CLI, the PATH, the cache, the download site, a Go build; else one error
// that lists every way out. A download counts only if its sha256 stands in the checksums.txt of the same release: no digest
// is pinned here. Downloads and builds happen under one lock and are put in place by rename.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../paths.js';
import { withLock } from './process.js';

const version = '1.8.2';
/** Fairness and the task queue priorities need this server or a newer one. */
const oldestServer = [1, 29] as const;
const buildPackages = 1_700;
const run = promisify(execFile);

export interface CliOptions {
  /** TEMPORAL_CLI: if given, nothing else is tried. */
  cli?: string | undefined;
  env?: NodeJS.ProcessEnv;
  onProgress?: ((line: string) => void) | undefined;
  /** For tests: where the release lies. */
  downloadFrom?: { archive: string; checksums: string };
}

/** Why one way did not work; all of them make up the final error. */
class NotThisWay extends Error {}

function cachePath(env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  return join(cache, 'perennial', `temporal-${version}`, 'temporal');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

async function requireUsable(path: string): Promise<string> {
  if (!isExecutable(path)) throw new NotThisWay(`${path} is no program that may be run`);
  const { stdout } = await run(path, ['--version'], { timeout: 15_000 }).catch((error: unknown) => {
    throw new NotThisWay(`${path} --version failed: ${(error as Error).message.split('\n')[0]}`);
  });
  const [, major, minor] = /Server (\d+)\.(\d+)/.exec(stdout) ?? [];
  const newEnough = Number(major) > oldestServer[0] || Number(minor) >= oldestServer[1];
  if (!newEnough)
    throw new NotThisWay(`${path} is too old (${stdout.trim()}): server ${oldestServer.join('.')} needed`);
  return path;
}

function platformNames(): { platform: string; arch: string } {
  return { platform: process.platform, arch: process.arch === 'x64' ? 'amd64' : process.arch };
}

function defaultDownload(): { archive: string; checksums: string } {
  const { platform, arch } = platformNames();
  return {
    archive: `https://temporal.download/cli/archive/v${version}?platform=${platform}&arch=${arch}`,
    checksums: `https://github.com/temporalio/cli/releases/download/v${version}/checksums.txt`,
  };
}

/** Five seconds to get an answer at all, then minutes for the bytes. */
async function fetchBytes(address: string, onProgress: CliOptions['onProgress']): Promise<Buffer> {
  const controller = new AbortController();
  const connect = setTimeout(() => controller.abort(new Error('no answer within 5 s')), 5_000);
  try {
    const response = await fetch(address, { signal: controller.signal });
    clearTimeout(connect);
    if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    const chunks: Uint8Array[] = [];
    let size = 0;
    let told = Date.now();
    const whole = setTimeout(() => controller.abort(new Error('not complete within 10 min')), 600_000);
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        chunks.push(chunk);
        size += chunk.length;
        if (Date.now() - told > 2_000) {
          told = Date.now();
          onProgress?.(
            `downloading Temporal: ${Math.round(size / 1e6)}${total ? ` of ${Math.round(total / 1e6)}` : ''} MB`,
          );
        }
      }
    } finally {
      clearTimeout(whole);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    const cause = (error as { cause?: { message?: string } }).cause?.message;
    throw new NotThisWay(`${new URL(address).host}: ${cause ?? (error as Error).message}`);
  } finally {
    clearTimeout(connect);
  }
}

async function download(target: string, options: CliOptions): Promise<string> {
  const { archive, checksums } = options.downloadFrom ?? defaultDownload();
  const { platform, arch } = platformNames();
  const name = `temporal_cli_${version}_${platform}_${arch}.tar.gz`;
  const [list, bytes] = await Promise.all([fetchBytes(checksums, undefined), fetchBytes(archive, options.onProgress)]);
  const line = list
    .toString('utf8')
    .split('\n')
    .find((entry) => entry.trim().endsWith(` ${name}`));
  const expected = line?.trim().split(/\s+/)[0];
  const found = createHash('sha256').update(bytes).digest('hex');
  if (expected !== found) {
    throw new NotThisWay(
      `${name} has sha256 ${found}, the release's checksums.txt says ${expected ?? 'nothing about it'}`,
    );
  }
  const folder = `${target}.download.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(join(folder, name), bytes);
    await run('tar', ['-xzf', name, 'temporal'], { cwd: folder });
    chmodSync(join(folder, 'temporal'), 0o755);
    renameSync(join(folder, 'temporal'), target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

/** Runs the compiler and says every few seconds how far it is: `-v` names each package when its turn comes. */
function compile(go: string, folder: string, output: string, options: CliOptions): Promise<void> {
  const flags = ['-v', '-trimpath', '-ldflags', '-s -w', '-o', output];
  return new Promise((done, fail) => {
    const child = spawn(go, ['build', ...flags, 'github.com/temporalio/cli/cmd/temporal'], {
      cwd: folder,
      env: { ...(options.env ?? process.env), CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const began = Date.now();
    let downloads = 0;
    let packages = 0;
    let tail = '';
    const timer = setInterval(() => {
      const phase =
        packages > 0 ? `compiling, ${packages} of about ${buildPackages} packages` : `${downloads} modules fetched`;
      options.onProgress?.(`building Temporal: ${phase}, ${Math.round((Date.now() - began) / 1000)} s`);
    }, 5_000);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-2_000);
      for (const line of text.split('\n')) {
        if (line.startsWith('go: downloading')) downloads++;
        else if (/^[\w.-]+(\/[\w.~-]+)*$/.test(line)) packages++;
      }
    });
    child.on('error', fail);
    child.on('close', (code) => {
      clearInterval(timer);
      if (code === 0) done();
      else fail(new NotThisWay(`go build failed: ${tail.trim().split('\n').slice(-3).join(' | ')}`));
    });
  });
}

async function build(target: string, options: CliOptions): Promise<string> {
  const go = onPath('go', options.env ?? process.env);
  if (!go) throw new NotThisWay('Go is not on the PATH');
  options.onProgress?.('building Temporal with Go: once per machine, 5 to 10 minutes, 5 GB of Go caches');
  const folder = `${target}.build.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    for (const name of ['go.mod', 'go.sum', 'tools.go']) {
      copyFileSync(join(projectRoot, 'adapters/embedded/temporal-cli', name), join(folder, name));
    }
    await compile(go, folder, join(folder, 'temporal'), options);
    renameSync(join(folder, 'temporal'), target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

function noWayLeft(tried: [string, string][], target: string): Error {
  const lines = tried.map(([way, why]) => `  ${way}: ${why}`);
  return new Error(
    `There is no program \`temporal\` to run the embedded Temporal server with. Tried:\n${lines.join('\n')}\n` +
      'Ways out, any one of them:\n' +
      `  install the Temporal CLI ${version} or newer and put it on the PATH (https://docs.temporal.io/cli)\n` +
      '  set TEMPORAL_CLI to its path\n' +
      `  copy it to ${target}\n` +
      '  let this machine reach https://temporal.download and https://github.com\n' +
      '  install Go 1.21 or newer, which builds it from source through the Go module proxy\n' +
      '  set TEMPORAL_ADDRESS to a Temporal server of yours',
  );
}

/** The path of a usable `temporal`, got by the first way that works. */
export async function findTemporalCli(options: CliOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  if (options.cli) {
    return requireUsable(resolve(options.cli)).catch((error: unknown) => {
      throw new Error(`TEMPORAL_CLI: ${(error as Error).message}`);
    });
  }
  const target = cachePath(env);
  const tried: [string, string][] = [['TEMPORAL_CLI', 'not set']];
  const attempt = async (way: string, work: () => Promise<string>): Promise<string | undefined> => {
    try {
      return await work();
    } catch (error) {
      tried.push([way, (error as Error).message]);
      return undefined;
    }
  };
  const cached = () => (existsSync(target) ? requireUsable(target) : Promise.reject(new NotThisWay(`no ${target}`)));
  const found =
    (await attempt('PATH', async () => {
      const path = onPath('temporal', env);
      if (!path) throw new NotThisWay('no temporal there');
      return requireUsable(path);
    })) ?? (await attempt('cache', cached));
  if (found) return found;
  const lock = join(dirname(dirname(target)), `temporal-${version}.lock`);
  const onWait = () => options.onProgress?.('another process is getting Temporal; waiting for it');
  return withLock(lock, { timeoutMs: 3_600_000, what: 'getting Temporal', onWait }, async () => {
    if (existsSync(target)) return requireUsable(target);
    mkdirSync(dirname(target), { recursive: true });
    const got =
      (await attempt('download', () => download(target, options))) ??
      (await attempt('build', () => build(target, options)));
    if (!got) throw noWayLeft(tried, target);
    return requireUsable(got);
  });
}

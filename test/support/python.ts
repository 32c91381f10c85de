// Whether Python packages can be installed here, and which environments of programs are kept from run to run of the tests.
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { declaredEnvironment, isPrepared } from '../../adapters/command/environment.js';

function reason(): string | null {
  try {
    execFileSync('python3', ['-m', 'venv', '--help'], { stdio: 'ignore', timeout: 20_000 });
    const flags = ['--no-deps', '--only-binary', ':all:', '--ignore-installed', '--dry-run', '--quiet'];
    execFileSync('python3', ['-m', 'pip', 'install', ...flags, 'packaging==24.2'], { stdio: 'pipe', timeout: 60_000 });
    return null;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? '')
      .trim()
      .split('\n')
      .at(-1);
    return `python3 cannot install packages here: ${said || (error as Error).message.split('\n')[0]}`;
  }
}

/** Null, or the reason why not, for tests that print it. */
export const canInstall = reason();
if (canInstall !== null) console.info(canInstall);

/** Shared by all runs of the tests, so that an environment of the examples is made once. */
export const keptEnvironments = join(
  process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'),
  'perennial',
  'environments',
);

/** Whether the environment of this code directory is there from an earlier run. */
export async function isKept(code: string): Promise<boolean> {
  return declaredEnvironment(code).then(
    (declared) => isPrepared(declared, keptEnvironments),
    () => false,
  );
}

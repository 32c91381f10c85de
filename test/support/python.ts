// Whether Python packages can be installed here: null, or the reason why not, for tests that print it.
import { execFileSync } from 'node:child_process';

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

export const canInstall = reason();
if (canInstall !== null) console.info(canInstall);

// An image as the environment of a program: which container runtime is at hand, and the command line it is given.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Failure } from '../../domain/failures.js';

const runtimes = ['docker', 'podman'] as const;
const probeMs = 10_000;

type Probe = (runtime: string) => Promise<void>;

/** Throws what the runtime says where it cannot run anything. */
const askRuntime: Probe = async (runtime) => {
  await promisify(execFile)(runtime, ['info'], { timeout: probeMs });
};

function reasonOf(error: unknown): string {
  const { code, stderr = '', message } = error as NodeJS.ErrnoException & { stderr?: string };
  if (code === 'ENOENT') return 'is not on the PATH';
  const lines = stderr.split('\n').map((line) => line.trim());
  return `does not answer: ${(lines.filter((line) => line !== '').at(-1) ?? message).slice(0, 200)}`;
}

/** The first runtime that answers. Throws `ContainerUnavailable`, saying what was looked for. */
export async function findRuntime(ask: Probe = askRuntime): Promise<string> {
  const reasons: string[] = [];
  for (const runtime of runtimes) {
    try {
      await ask(runtime);
      return runtime;
    } catch (error) {
      reasons.push(`${runtime} ${reasonOf(error)}`);
    }
  }
  throw new Failure('ContainerUnavailable', `the document names an image, but ${reasons.join('; ')}`);
}

/** Where the folders lie inside. */
export const containerJob = '/perennial/job';
const containerCode = '/perennial/code';

export interface ContainerRun {
  runtime: string;
  image: string;
  /** Unique on this machine. */
  name: string;
  /** Holds `code/` and `job/`. */
  folder: string;
  program: string[];
  env: Record<string, string>;
  /** Names of variables of the caller, whose values stay off the command line. */
  passed: readonly string[];
  memoryMb: number;
  /** Of the runtime: `none`, `host` or one that an operator made. */
  network: string;
  /** Device ids; empty: none. */
  devices: string[];
  user: { uid: number; gid: number };
}

/** The command line of a run, and the one that removes the container however the run ended. */
export function containerCommand(run: ContainerRun): { command: string[]; cleanUp: string[] } {
  const { runtime, image, name, folder, user } = run;
  const limits = ['--memory', `${run.memoryMb}m`, '--memory-swap', `${run.memoryMb}m`, '--pids-limit', '1000'];
  const closed = ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
  const mounts = ['-v', `${folder}/code:${containerCode}`, '-v', `${folder}/job:${containerJob}`, '-w', containerCode];
  const given = [...Object.entries(run.env).map(([key, value]) => `${key}=${value}`), ...run.passed];
  const variables = given.flatMap((variable) => ['-e', variable]);
  const devices = run.devices.length === 0 ? [] : ['--gpus', `"device=${run.devices.join(',')}"`];
  return {
    command: [
      ...[
        runtime,
        'run',
        '--rm',
        '--init',
        '--name',
        name,
        '--network',
        run.network,
        '--user',
        `${user.uid}:${user.gid}`,
      ],
      ...[...limits, ...closed, ...mounts, ...variables, ...devices, image, ...run.program],
    ],
    cleanUp: [runtime, 'rm', '--force', name],
  };
}

// Every setting of every process, read from the environment once, at the entry points.
// All problems are reported together. README's table is generated from `settings`. Secrets print as •••.
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { z } from 'zod';

/** A value that never shows up in a log, an error or JSON. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): '•••' {
    return '•••';
  }
  toJSON(): '•••' {
    return '•••';
  }
  [inspect.custom](): '•••' {
    return '•••';
  }
}

export interface Config {
  /** Absolute folder of this installation's data. */
  home: string;
  /** 0: a free one is picked, once per home. */
  port: number;
  host: string;
  databaseUrl: Secret | undefined;
  temporal: { address: string | undefined; namespace: string; cli: string | undefined };
  store: string;
  url: string | undefined;
  token: Secret | undefined;
  sources: string | undefined;
  /** `undefined`: ask nvidia-smi. An empty list: no device, train on the CPU. */
  gpu: { devices: string[] | undefined };
  /** Resident memory of one trainer or scorer child, in MiB. */
  memoryMb: number;
  /** How long, and how much of, results of steps are kept for runs to come. */
  results: { days: number; bytes: number };
  /** Programs as trainers: the Python of their environments, the folder of these, and the names of our variables that they are given. */
  command: { python: string; environments: string; variables: readonly string[]; network: string };
  hold: { step: string; point: 'before' | 'middle' | 'after' } | undefined;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface Setting {
  name: string;
  default: string;
  meaning: string;
  readBy: string;
}

/** One row per variable; the README's table is this list. */
export const settings: readonly Setting[] = [
  {
    name: 'PERENNIAL_HOME',
    default: '`.perennial/` in the working directory',
    meaning: 'Folder of the data, the ports, the logs and `run.json`. Two homes share nothing.',
    readBy: 'all',
  },
  {
    name: 'PERENNIAL_PORT',
    default: '`8420`',
    meaning: 'Port of the API and the pages. `0` picks a free one, which the home keeps.',
    readBy: 'api, supervisor',
  },
  {
    name: 'PERENNIAL_HOST',
    default: '`127.0.0.1`',
    meaning: 'Address the API binds. Other than loopback needs a token.',
    readBy: 'api, supervisor',
  },
  {
    name: 'DATABASE_URL',
    default: 'embedded Postgres',
    meaning: 'Your Postgres (15 or newer): `postgres://user:password@host:5432/database`.',
    readBy: 'api, workers, supervisor',
  },
  {
    name: 'TEMPORAL_ADDRESS',
    default: 'embedded dev server',
    meaning: 'Your Temporal: `host:port`.',
    readBy: 'api, workers, supervisor',
  },
  {
    name: 'TEMPORAL_NAMESPACE',
    default: '`perennial`',
    meaning: 'Namespace of all workflows.',
    readBy: 'api, workers, supervisor',
  },
  {
    name: 'TEMPORAL_CLI',
    default: 'PATH, cache, download, build',
    meaning: 'Path of the `temporal` program that runs the embedded server.',
    readBy: 'supervisor',
  },
  {
    name: 'PERENNIAL_STORE',
    default: '`store/` in the home',
    meaning: 'Folder of the artifacts, one file per sha256.',
    readBy: 'api, workers',
  },
  {
    name: 'PERENNIAL_URL',
    default: '`api` of run.json',
    meaning: 'Base URL of the API that clients talk to.',
    readBy: 'cli',
  },
  {
    name: 'PERENNIAL_TOKEN',
    default: 'none',
    meaning: 'Bearer token of a client. Set for the server: kept, hashed, as an `admin` token of `default`.',
    readBy: 'cli, api',
  },
  {
    name: 'PERENNIAL_SOURCES',
    default: 'none',
    meaning: 'Off loopback, the only folder that `source` files are read from.',
    readBy: 'api, workers',
  },
  {
    name: 'PERENNIAL_GPU_DEVICES',
    default: 'what nvidia-smi lists',
    meaning: 'Devices to train on, separated by commas. Empty: none.',
    readBy: 'gpu worker',
  },
  {
    name: 'PERENNIAL_MEMORY_MB',
    default: '`4096`',
    meaning: 'Memory of one trainer or scorer process, in MiB; above it the process is ended (`OutOfMemory`).',
    readBy: 'cpu and gpu worker',
  },
  {
    name: 'PERENNIAL_RESULTS_DAYS',
    default: '`30`',
    meaning: 'Results of steps that no run used for so long are let go, and checkpoints of runs that ended then.',
    readBy: 'flow worker',
  },
  {
    name: 'PERENNIAL_RESULTS_GB',
    default: '`50`',
    meaning: 'What results of steps may take together; the least recently used go first.',
    readBy: 'flow worker',
  },
  {
    name: 'PERENNIAL_PYTHON',
    default: '`python3`',
    meaning: 'Python that makes the environments of programs (`command`).',
    readBy: 'workers',
  },
  {
    name: 'PERENNIAL_ENVIRONMENTS',
    default: '`environments/` in the home',
    meaning: 'Folder of the environments of programs (`command`), made once each.',
    readBy: 'workers',
  },
  {
    name: 'PERENNIAL_COMMAND_ENV',
    default: 'none',
    meaning:
      'Names of variables, separated by commas, that programs (`command`) are given. Their values, from 8 letters on, must not be printed.',
    readBy: 'workers',
  },
  {
    name: 'PERENNIAL_COMMAND_NETWORK',
    default: 'none',
    meaning: 'Network of programs (`command`) with an `image`: `none`, `host`, or one of the container runtime’s.',
    readBy: 'workers',
  },
  {
    name: 'PERENNIAL_TEMPORAL_UI',
    default: 'the embedded server’s',
    meaning: 'Base URL of your Temporal Web UI, for links.',
    readBy: 'api',
  },
  {
    name: 'PERENNIAL_LOG',
    default: '`info`',
    meaning: 'Least severe level that is logged: `debug`, `info`, `warn` or `error`.',
    readBy: 'all',
  },
  {
    name: 'PERENNIAL_HOLD',
    default: 'none',
    meaning: 'Tests only (`NODE_ENV=test`): `<step>:<before|middle|after>` waits there until its hold file is removed.',
    readBy: 'workers',
  },
];

/** Every fault of the environment, one per line. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const url = (protocols: string[], example: string) =>
  z.string().refine(
    (text) => {
      try {
        const { protocol, hostname } = new URL(text);
        return protocols.includes(protocol) && hostname !== '';
      } catch {
        return false;
      }
    },
    { error: `must look like ${example}` },
  );

const amount = (standard: string) =>
  z
    .string()
    .default(standard)
    .refine((text) => /^\d{1,6}(\.\d{1,3})?$/.test(text), { error: 'must be a number, 0 or more' })
    .transform(Number);

/** Empty variables count as absent, as in compose files and CI. */
const environment = z.object({
  PERENNIAL_HOME: z.string().default('.perennial'),
  PERENNIAL_PORT: z
    .string()
    .default('8420')
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, { error: 'must be a port, 0 to 65535' })
    .transform(Number),
  PERENNIAL_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]+$/, { error: 'must be a host name or an address' })
    .default('127.0.0.1'),
  DATABASE_URL: url(['postgres:', 'postgresql:'], 'postgres://user:password@host:5432/database').optional(),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, { error: 'must be host:port, without http://' })
    .optional(),
  TEMPORAL_NAMESPACE: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$/, { error: 'must be letters, digits, dots, dashes or underscores' })
    .default('perennial'),
  TEMPORAL_CLI: z.string().optional(),
  PERENNIAL_STORE: z
    .string()
    .refine((text) => !text.startsWith('s3://'), { error: 's3:// is not built yet: name a folder' })
    .refine((text) => text.startsWith('s3://') || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text), {
      error: 'must be a folder',
    })
    .optional(),
  PERENNIAL_URL: url(['http:', 'https:'], 'http://127.0.0.1:8420').optional(),
  PERENNIAL_TOKEN: z
    .string()
    .regex(/^\S+$/, { error: 'must not contain spaces' })
    .min(16, { error: 'must have at least 16 characters' })
    .optional(),
  PERENNIAL_SOURCES: z.string().optional(),
  PERENNIAL_MEMORY_MB: amount('4096').refine((value) => value >= 256, { error: 'must be 256 or more' }),
  PERENNIAL_RESULTS_DAYS: amount('30'),
  PERENNIAL_RESULTS_GB: amount('50'),
  PERENNIAL_PYTHON: z.string().default('python3'),
  PERENNIAL_ENVIRONMENTS: z.string().optional(),
  PERENNIAL_COMMAND_ENV: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*(\s*,\s*[A-Za-z_][A-Za-z0-9_]*)*$/, {
      error: 'must be names of variables, separated by commas',
    })
    .optional(),
  PERENNIAL_COMMAND_NETWORK: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, { error: 'must be the name of a network' })
    .default('none'),
  PERENNIAL_HOLD: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]*:(before|middle|after)$/, { error: 'must be <step>:<before|middle|after>' })
    .optional(),
  PERENNIAL_LOG: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' })
    .default('info'),
});

/** Reads the environment; throws a `ConfigError` that lists every problem. Values of secrets are never repeated. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(present);
  const problems = parsed.error?.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`) ?? [];
  if (present['PERENNIAL_HOLD'] !== undefined && env['NODE_ENV'] !== 'test') {
    problems.push('PERENNIAL_HOLD is for tests only and needs NODE_ENV=test');
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const value = parsed.data;
  const home = resolve(value.PERENNIAL_HOME);
  const [step, point] = value.PERENNIAL_HOLD?.split(':') ?? [];
  // An empty device list is a statement ("train on the CPU"), so this one variable is read as it stands.
  const devices = env['PERENNIAL_GPU_DEVICES']?.split(',').map((device) => device.trim());
  return Object.freeze({
    home,
    port: value.PERENNIAL_PORT,
    host: value.PERENNIAL_HOST,
    databaseUrl: value.DATABASE_URL === undefined ? undefined : new Secret(value.DATABASE_URL),
    temporal: { address: value.TEMPORAL_ADDRESS, namespace: value.TEMPORAL_NAMESPACE, cli: value.TEMPORAL_CLI },
    store: value.PERENNIAL_STORE === undefined ? join(home, 'store') : resolve(value.PERENNIAL_STORE),
    url: value.PERENNIAL_URL?.replace(/\/+$/, ''),
    token: value.PERENNIAL_TOKEN === undefined ? undefined : new Secret(value.PERENNIAL_TOKEN),
    sources: value.PERENNIAL_SOURCES === undefined ? undefined : resolve(value.PERENNIAL_SOURCES),
    gpu: { devices: devices?.filter((device) => device !== '') },
    memoryMb: value.PERENNIAL_MEMORY_MB,
    results: { days: value.PERENNIAL_RESULTS_DAYS, bytes: value.PERENNIAL_RESULTS_GB * 1e9 },
    command: {
      python: value.PERENNIAL_PYTHON,
      environments:
        value.PERENNIAL_ENVIRONMENTS === undefined ? join(home, 'environments') : resolve(value.PERENNIAL_ENVIRONMENTS),
      variables: value.PERENNIAL_COMMAND_ENV?.split(',').map((name) => name.trim()) ?? [],
      network: value.PERENNIAL_COMMAND_NETWORK,
    },
    hold: step && point ? { step, point: point as 'before' | 'middle' | 'after' } : undefined,
    logLevel: value.PERENNIAL_LOG,
  });
}

/** Whether only this machine can reach what binds there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare === '::1' || bare === '0:0:0:0:0:0:0:1') return true;
  return /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare);
}

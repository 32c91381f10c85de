// A running perennial: its services and its four children, kept alive, with run.json always saying what runs.
// Stopping goes api, cpu and gpu, flow, Temporal, Postgres, so that each finishes while what it needs is still there.
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../adapters/config.js';
import type { RunFile } from '../adapters/home.js';
import { removeRunFile, writeRunFile } from '../adapters/home.js';
import { withoutPasswords } from '../adapters/log.js';
import { projectRoot } from '../adapters/paths.js';
import type { ChildName, ChildReport } from './child.js';
import { Child, childNames } from './child.js';
import type { Services } from './services.js';
import { ensureServices, servicesAlive, stopServices } from './services.js';

export interface SystemOptions {
  /** Restart the children when a source file changes. */
  dev?: boolean;
  /** Postgres' fsync; default true, false only for tests. */
  fsync?: boolean;
  /** Wait at most this long for `/readyz`; default 60 s. */
  readyTimeoutMs?: number;
  onProgress?: (line: string) => void;
  onTrouble?: (line: string) => void;
  /** Gives up starting, and takes down what was started. */
  signal?: AbortSignal;
}

export interface System {
  /** What run.json says at the time of asking. */
  readonly runFile: RunFile;
  /** `hasten` cuts the children's drain short. */
  stop(hasten?: AbortSignal): Promise<void>;
}

/** A reason not to start that the user can act on: shown as it is, without a stack. */
export class CannotStart extends Error {}

const drainMs = 30_000;

/** The environment of a child: ours, with everything that was decided here said explicitly. */
function childEnvironment(config: Config, services: Services, port: number): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PERENNIAL_HOME: config.home,
    PERENNIAL_HOST: config.host,
    PERENNIAL_PORT: String(port),
    PERENNIAL_STORE: config.store,
    PERENNIAL_TOKEN: config.token?.reveal() ?? '',
    PERENNIAL_SOURCES: config.sources ?? '',
    PERENNIAL_LOG: config.logLevel,
    PERENNIAL_HOLD: config.hold ? `${config.hold.step}:${config.hold.point}` : '',
    ...(config.gpu.devices ? { PERENNIAL_GPU_DEVICES: config.gpu.devices.join(',') } : {}),
    DATABASE_URL: services.database,
    TEMPORAL_ADDRESS: services.temporal,
    TEMPORAL_NAMESPACE: config.temporal.namespace,
    PERENNIAL_TEMPORAL_UI: services.temporalUi ?? '',
    PERENNIAL_SUPERVISED: '1',
  };
}

function browsable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

export class RunningSystem implements System {
  readonly #config: Config;
  readonly #options: SystemOptions;
  readonly #port: number;
  readonly #releaseLock: () => void;
  readonly #children: Child[];
  readonly #offspring = new Map<number, { kind: 'scorer' | 'trainer'; parent: ChildName }>();
  #services: Services;
  #writing: Promise<void> = Promise.resolve();
  #tick: NodeJS.Timeout | undefined;
  #reviving: Promise<void> | null = null;
  #stopping: Promise<void> | undefined;
  #watchers: { close(): void }[] = [];

  constructor(parts: {
    config: Config;
    options: SystemOptions;
    port: number;
    services: Services;
    release: () => void;
  }) {
    this.#config = parts.config;
    this.#options = parts.options;
    this.#port = parts.port;
    this.#services = parts.services;
    this.#releaseLock = parts.release;
    const env = () => childEnvironment(this.#config, this.#services, this.#port);
    const hooks = {
      onChange: () => this.#changed(),
      onReport: (name: ChildName, report: ChildReport) => this.#reported(name, report),
      onTrouble: (line: string) => this.#options.onTrouble?.(withoutPasswords(line)),
    };
    this.#children = childNames.map((name) => new Child(name, this.#config.home, env, hooks));
  }

  get runFile(): RunFile {
    const pidOf = (name: ChildName) => this.#children.find((child) => child.name === name)?.pid ?? null;
    const pidsOf = (kind: string) => [...this.#offspring].filter(([, one]) => one.kind === kind).map(([pid]) => pid);
    return {
      api: `http://${browsable(this.#config.host)}:${this.#port}`,
      temporal: this.#services.temporal,
      temporalUi: this.#services.temporalUi,
      database: this.#services.database,
      pids: {
        supervisor: process.pid,
        ...{ api: pidOf('api'), flow: pidOf('flow'), cpu: pidOf('cpu'), gpu: pidOf('gpu') },
        temporal: this.#services.temporalPid,
        postgres: this.#services.postgresPid,
        scorer: pidsOf('scorer').at(-1) ?? null,
        trainer: pidsOf('trainer'),
      },
    };
  }

  start(): void {
    for (const child of this.#children) child.start();
    this.#tick = setInterval(() => this.#watchOver(), 1_000);
    if (this.#options.dev) this.#restartOnChange();
  }

  /** Resolves at the first 200 of `/readyz`. */
  async ready(): Promise<void> {
    const timeoutMs = this.#options.readyTimeoutMs ?? 60_000;
    const end = Date.now() + timeoutMs;
    for (let last = 'no answer'; ; await sleep(50)) {
      try {
        const response = await fetch(`${this.runFile.api}/readyz`, { signal: AbortSignal.timeout(2_000) });
        last = `${response.status} ${(await response.text()).slice(0, 500)}`;
        if (response.status === 200) break;
      } catch (error) {
        last = (error as { cause?: Error }).cause?.message ?? (error as Error).message;
      }
      if (this.#stopping || this.#options.signal?.aborted) throw new CannotStart('stopped while starting');
      if (Date.now() > end) throw new CannotStart(`not ready after ${timeoutMs / 1000} s: /readyz says ${last}`);
    }
    await this.#writing;
  }

  stop(hasten: AbortSignal = new AbortController().signal): Promise<void> {
    this.#stopping ??= this.#stop(hasten);
    return this.#stopping;
  }

  async #stop(hasten: AbortSignal): Promise<void> {
    clearInterval(this.#tick);
    for (const watcher of this.#watchers) watcher.close();
    try {
      for (const group of [['api'], ['cpu', 'gpu'], ['flow']]) {
        const children = this.#children.filter((child) => group.includes(child.name));
        await Promise.all(children.map((child) => child.stop(drainMs, hasten)));
      }
      for (const child of this.#children) child.close();
      // a service that is just being started again is not there to be stopped yet
      await this.#reviving;
      await stopServices(this.#config);
      await this.#writing;
      await removeRunFile(this.#config.home);
    } finally {
      this.#releaseLock();
    }
  }

  #changed(): void {
    for (const child of this.#children) {
      if (child.pid !== null) continue;
      for (const [pid, one] of this.#offspring) if (one.parent === child.name) this.#offspring.delete(pid);
    }
    // One write after the other, each with the newest state.
    this.#writing = this.#writing
      .then(() => writeRunFile(this.#config.home, this.runFile))
      .catch((error: unknown) => this.#options.onTrouble?.(`run.json: ${(error as Error).message}`));
  }

  #reported(name: ChildName, report: ChildReport): void {
    if (report?.type !== 'child' || !Number.isInteger(report.pid)) return;
    if (report.alive) this.#offspring.set(report.pid, { kind: report.kind, parent: name });
    else this.#offspring.delete(report.pid);
    this.#changed();
  }

  #watchOver(): void {
    for (const child of this.#children) child.showTrouble();
    if (this.#reviving || this.#stopping || servicesAlive(this.#services)) return;
    this.#reviving = this.#revive().finally(() => {
      this.#reviving = null;
    });
  }

  /** Never rejects. */
  async #revive(): Promise<void> {
    try {
      this.#options.onTrouble?.('an embedded service ended; starting it again');
      this.#services = await ensureServices(this.#config, this.#options);
      this.#changed();
    } catch (error) {
      this.#options.onTrouble?.((error as Error).message);
      await sleep(1_000);
    }
  }

  #restartOnChange(): void {
    let timer: NodeJS.Timeout | undefined;
    const restart = async () => {
      this.#options.onProgress?.('sources changed: restarting');
      const never = new AbortController().signal;
      await Promise.all(this.#children.map((child) => child.stop(5_000, never)));
      if (!this.#stopping) for (const child of this.#children) child.start();
    };
    for (const folder of [
      'domain',
      'stats',
      'ml',
      'workflows',
      'activities',
      'workers',
      'api',
      'db',
      'adapters',
      'web',
    ]) {
      try {
        const watcher = watch(join(projectRoot, folder), { recursive: true }, (_, file) => {
          if (!/\.(tsx?|css|sql)$/.test(file ?? '')) return;
          clearTimeout(timer);
          timer = setTimeout(() => void restart(), 200);
        });
        this.#watchers.push(watcher);
      } catch {
        // This folder is not there.
      }
    }
  }
}

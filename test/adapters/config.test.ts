// The settings: defaults, every problem at once, secrets that never print.
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ConfigError, isLoopback, readConfig, Secret, settings } from '../../adapters/config.js';

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe('readConfig', () => {
  test('has a default for everything', () => {
    const home = join(process.cwd(), '.perennial');
    expect(readConfig({})).toEqual({
      home,
      port: 8420,
      host: '127.0.0.1',
      databaseUrl: undefined,
      temporal: { address: undefined, namespace: 'perennial', cli: undefined },
      store: join(home, 'store'),
      url: undefined,
      token: undefined,
      sources: undefined,
      gpu: { devices: undefined },
      memoryMb: 4096,
      results: { days: 30, bytes: 50e9 },
      command: { python: 'python3', environments: join(home, 'environments'), variables: [], network: 'none' },
      hold: undefined,
      logLevel: 'info',
    });
  });

  test('takes an empty variable as absent, except an empty list of devices', () => {
    const config = readConfig({ DATABASE_URL: '', PERENNIAL_PORT: '', PERENNIAL_GPU_DEVICES: '' });
    expect(config.databaseUrl).toBeUndefined();
    expect(config.port).toBe(8420);
    expect(config.gpu.devices).toEqual([]);
    expect(readConfig({ PERENNIAL_GPU_DEVICES: '0, GPU-1' }).gpu.devices).toEqual(['0', 'GPU-1']);
  });

  test('reports every problem at once, one per line', () => {
    const problems = problemsOf({
      PERENNIAL_PORT: '70000',
      TEMPORAL_ADDRESS: 'http://x:1',
      DATABASE_URL: 'mysql://a/b',
      PERENNIAL_STORE: 's3://bucket',
      PERENNIAL_LOG: 'loud',
      PERENNIAL_TOKEN: 'short',
      PERENNIAL_HOLD: 'train:never',
      PERENNIAL_MEMORY_MB: '100',
      PERENNIAL_RESULTS_DAYS: 'long',
    });
    for (const name of [
      'PERENNIAL_PORT',
      'TEMPORAL_ADDRESS',
      'DATABASE_URL',
      'PERENNIAL_LOG',
      'PERENNIAL_TOKEN',
      'PERENNIAL_MEMORY_MB',
      'PERENNIAL_RESULTS_DAYS',
    ]) {
      expect(problems.filter((problem) => problem.startsWith(`${name} `))).toHaveLength(1);
    }
    expect(problems).toContain('PERENNIAL_STORE s3:// is not built yet: name a folder');
    expect(problems.filter((problem) => problem.startsWith('PERENNIAL_HOLD'))).toHaveLength(2);
    expect(problems.join()).not.toContain('short');
  });

  test('holds steps on purpose in tests only', () => {
    expect(readConfig({ NODE_ENV: 'test', PERENNIAL_HOLD: 'train:middle' }).hold).toEqual({
      step: 'train',
      point: 'middle',
    });
    expect(problemsOf({ PERENNIAL_HOLD: 'train:middle' })[0]).toContain('NODE_ENV=test');
  });

  test('reads no variable that the table does not name', () => {
    const read = new Set<string>();
    readConfig(new Proxy({}, { get: (_, name) => void read.add(String(name)) }));
    const names = settings.map((setting) => setting.name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of read) if (name !== 'NODE_ENV') expect(names).toContain(name);
    for (const setting of settings) expect(setting.meaning && setting.default && setting.readBy).toBeTruthy();
  });
});

test('a secret prints as dots', () => {
  const secret = new Secret('hunter2');
  expect(secret.reveal()).toBe('hunter2');
  for (const text of [String(secret), JSON.stringify({ secret }), inspect({ secret }), `${secret}`]) {
    expect(text).toContain('•••');
    expect(text).not.toContain('hunter2');
  }
});

test('isLoopback', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', 'localhost', '::1', '[::1]', '::ffff:127.0.0.1']) {
    expect(isLoopback(host), host).toBe(true);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com']) {
    expect(isLoopback(host), host).toBe(false);
  }
});

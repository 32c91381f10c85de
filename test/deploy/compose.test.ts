// docker-compose.yml, the Dockerfile and deploy/ name only what exists. There is no Docker here, so this is read, not run.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { settings } from '../../adapters/config.js';
import { projectRoot } from '../../adapters/paths.js';
import { searchAttributes } from '../../domain/ids.js';

interface Service {
  image: string;
  build?: string;
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  restart?: string;
  stop_grace_period?: string;
}

const read = (path: string) => readFileSync(join(projectRoot, path), 'utf8');
const text = read('docker-compose.yml');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, null> };
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build === '.');
const names = new Set(settings.map((setting) => setting.name));
/** Read by the images of others, or by compose itself. */
const foreign =
  /^(POSTGRES_\w+|DB|DB_PORT|SQL_PASSWORD|BIND_ON_IP|NUM_HISTORY_SHARDS|DYNAMIC_CONFIG_FILE_PATH|LOG_LEVEL|TEMPORAL_DEFAULT_NAMESPACE)$/;

describe('docker-compose.yml', () => {
  test('has the whole system', () => {
    const wanted = ['postgres', 'temporal-schema', 'temporal', 'temporal-namespace', 'temporal-ui', 'migrate'];
    expect(services.map(([name]) => name)).toEqual([...wanted, 'api', 'flow', 'cpu', 'gpu']);
  });

  test('pins every image', () => {
    for (const [name, { image }] of services) expect(image, name).toMatch(/:\d+\.\d+/);
    for (const line of read('Dockerfile').match(/^FROM .*/gm) ?? []) expect(line).toMatch(/node:20\.\d+\.\d+-/);
  });

  test('runs only entries and files that exist', () => {
    for (const [name, { command = [], entrypoint = [] }] of services) {
      for (const part of [...command, ...entrypoint].filter((one) => /\.(ts|mjs|sh)$/.test(one))) {
        const path = part.replace(/^\/deploy\//, 'deploy/temporal/');
        expect(existsSync(join(projectRoot, path)), `${name}: ${part}`).toBe(true);
      }
    }
    expect(existsSync(join(projectRoot, 'deploy/temporal/dynamicconfig.yaml'))).toBe(true);
  });

  test('mounts folders of the project and named volumes only', () => {
    for (const [name, { volumes = [] }] of services) {
      for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
        // `sources/` is the user's: Docker makes it when it is not there.
        const known = source.startsWith('./')
          ? source === './sources' || existsSync(join(projectRoot, source))
          : source in compose.volumes;
        expect(known, `${name}: ${source}`).toBe(true);
      }
    }
  });

  test('sets only variables that somebody reads', () => {
    for (const [name, { environment = {} }] of services) {
      for (const variable of Object.keys(environment)) {
        expect(names.has(variable) || foreign.test(variable), `${name}: ${variable}`).toBe(true);
      }
    }
    for (const [, variable = ''] of text.matchAll(/\$\{(\w+)/g)) {
      expect(names.has(variable) || variable === 'POSTGRES_PASSWORD', variable).toBe(true);
    }
  });

  test('has no default secret and opens no port beyond loopback', () => {
    for (const variable of ['POSTGRES_PASSWORD', 'PERENNIAL_TOKEN']) {
      expect(text).not.toMatch(new RegExp(`\\$\\{${variable}(?!:\\?)`));
      expect(text).toMatch(new RegExp(`\\$\\{${variable}:\\?`));
    }
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
    expect(compose.services['api']?.environment).toMatchObject({ PERENNIAL_HOST: '0.0.0.0', PERENNIAL_PORT: '8420' });
    expect(compose.services['api']?.ports).toEqual(['127.0.0.1:8420:8420']);
    expect(read('Dockerfile')).toMatch(/^EXPOSE 8420$/m);
  });

  test('waits for what it needs, and gives the drain its time', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const target = compose.services[other];
        expect(target, `${name} → ${other}`).toBeDefined();
        if (condition === 'service_healthy') expect(target?.healthcheck, other).toBeDefined();
        else expect(target?.restart, other).toBe('no');
      }
    }
    for (const [name, service] of ours)
      expect(parseInt(service.stop_grace_period ?? '0', 10), name).toBeGreaterThan(30);
  });

  test('the image is built by a script that exists, and runs without root', () => {
    const dockerfile = read('Dockerfile');
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const [, script = ''] of dockerfile.matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(script);
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/PERENNIAL_PREBUILT=1/);
    expect(dockerfile).toMatch(/^STOPSIGNAL SIGTERM$/m);
  });
});

describe('deploy/', () => {
  test('the scripts are valid shell and make all search attributes', () => {
    for (const script of ['schema.sh', 'namespace.sh']) {
      execFileSync('sh', ['-n', join(projectRoot, 'deploy/temporal', script)]);
    }
    for (const attribute of searchAttributes) expect(read('deploy/temporal/namespace.sh')).toContain(attribute);
  });

  test('the dynamic configuration is a map of lists of values', () => {
    const config = parse(read('deploy/temporal/dynamicconfig.yaml')) as Record<string, { value: unknown }[]>;
    for (const [key, values] of Object.entries(config)) {
      expect(key).toMatch(/^[a-z]+\.[A-Za-z]+$/);
      for (const entry of values) expect(entry).toHaveProperty('value');
    }
  });
});

// What is installed is what is written: exact versions, one copy where two would break, a lock file without holes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';

interface Package {
  version?: string;
  scripts?: Record<string, string>;
  hasInstallScript?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  allowScripts?: Record<string, boolean>;
}

const read = (file: string) => JSON.parse(readFileSync(join(projectRoot, file), 'utf8')) as Package;
const manifest = read('package.json');
const lock = read('package-lock.json') as unknown as { packages: Record<string, Package> };
const installed = Object.entries(lock.packages).filter(([path]) => path !== '');
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const direct = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };

test('every direct dependency is one exact version, and the lock file has it', () => {
  const exact = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
  expect(Object.entries(direct).filter(([, version]) => !exact.test(version))).toEqual([]);
  const differing = Object.entries(direct).filter(
    ([name, version]) => lock.packages[`node_modules/${name}`]?.version !== version,
  );
  expect(differing).toEqual([]);
});

test('there is one copy of each @temporalio package, all of one version', () => {
  const copies = installed.filter(([path]) => nameOf(path).startsWith('@temporalio/'));
  const names = copies.map(([path]) => nameOf(path));
  expect(names.length).toBeGreaterThan(4);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(copies.map(([, { version }]) => version)).size).toBe(1);
});

test('protobufjs 8 exists once, at the root, so replayed histories find their own types', () => {
  const copies = installed.filter(([path, { version }]) => nameOf(path) === 'protobufjs' && version?.startsWith('8.'));
  expect(copies.map(([path]) => path)).toEqual(['node_modules/protobufjs']);
});

test('the lock file has every optional package of every platform, or npm ci would refuse it', () => {
  const missing = installed.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !lock.packages[`${path}/node_modules/${name}`] && !lock.packages[`node_modules/${name}`],
    ),
  );
  expect(missing).toEqual([]);
});

test('no install script runs, and each one is refused by name', () => {
  expect(readFileSync(join(projectRoot, '.npmrc'), 'utf8')).toContain('ignore-scripts=true');
  const withScript = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
  const reviewed = manifest.allowScripts ?? {};
  expect([...new Set(withScript)].filter((name) => reviewed[name] !== false)).toEqual([]);
});

test('the lock file names no registry host', () => {
  expect(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved": "https?:/);
});

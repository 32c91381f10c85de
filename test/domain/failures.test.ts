import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Failure, failureCode, type FailureName, failures, isFailureName } from '../../domain/failures.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const names = Object.keys(failures) as FailureName[];
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');

/** One section per entry: `### code`, then a line with title, name, status and retry, the meaning, and what to do. */
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [section.split('\n', 1)[0] ?? '', section]),
);

const codeFolders = ['activities', 'adapters', 'api', 'cli', 'db', 'domain', 'ml', 'web', 'workers', 'workflows'];

function sourcesBelow(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path))
      .map((path) => join(root, folder, path));
  } catch {
    return [];
  }
}

/** Failures that no code gives yet; take a name out when it is used. Nothing may be unused that is not here. */
const notUsedYet: FailureName[] = ['QuarantineExceeded', 'ExpectationFailed'];

describe('the catalogue of failures', () => {
  it('has one code per name, in kebab case', () => {
    const codes = names.map(failureCode);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(failureCode('RunLive')).toBe('run-live');
  });

  it('never retries a wrong request', () => {
    for (const entry of Object.values(failures)) {
      if (entry.family === 'request') expect(entry.retry).toBe('never');
      expect(entry.status).toBeGreaterThanOrEqual(400);
      expect(entry.status).toBeLessThan(600);
    }
  });

  it.each(names)('%s is explained in docs/errors.md, with its status and retry', (name) => {
    const { title, status, retry } = failures[name];
    const section = sections.get(failureCode(name)) ?? '';
    expect(section).toContain(
      `${title} (\`${name}\`). HTTP ${status}. Tried again: ${retry === 'retry' ? 'yes' : 'no'}.`,
    );
    expect(section).toMatch(/\nWhat to do: \S/);
  });

  it('is all that docs/errors.md explains', () => {
    expect([...sections.keys()].sort()).toEqual(names.map(failureCode).sort());
  });

  it('is reachable: each name is given somewhere in the code', () => {
    const code = codeFolders
      .flatMap(sourcesBelow)
      .filter((path) => !path.endsWith('domain/failures.ts'))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    const unused = names.filter((name) => !new RegExp(`['"\`]${name}['"\`]|\\b${name}:`).test(code));
    if (unused.length > 0) console.info(`failures not used yet: ${unused.join(', ')}`);
    expect(unused.filter((name) => !notUsedYet.includes(name))).toEqual([]);
  });
});

describe('a failure', () => {
  it('carries its name, detail, members, faults and cause', () => {
    const cause = new Error('below');
    const failure = new Failure('RunLive', 'run 3 is alive', { members: { run: 'run_3' }, cause });
    expect(failure).toMatchObject({
      failure: 'RunLive',
      message: 'run 3 is alive',
      members: { run: 'run_3' },
      faults: [],
    });
    expect(failure.cause).toBe(cause);
    expect('cause' in new Failure('NotFound', 'x')).toBe(false);
  });

  it('names are known exactly', () => {
    expect([isFailureName('RunLive'), isFailureName('toString'), isFailureName(3)]).toEqual([true, false, false]);
  });
});

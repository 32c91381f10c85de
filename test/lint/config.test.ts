// The other rules of eslint.config.js: one bad sample each must be reported, and its good twin must not.
import { ESLint } from 'eslint';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import tseslint from 'typescript-eslint';
import { projectRoot } from '../../adapters/paths.js';

let eslint: ESLint;
beforeAll(() => {
  // The samples exist in no TypeScript program, so the rules that need types rest here.
  const untyped = tseslint.configs.disableTypeChecked as never;
  eslint = new ESLint({ cwd: projectRoot, overrideConfig: [untyped] });
});

async function rulesBroken(file: string, code: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(code, { filePath: join(projectRoot, file) });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

const bad: [what: string, file: string, code: string, rule: string][] = [
  ['the clock in domain', 'domain/x.ts', 'export const now = () => Date.now();', 'no-restricted-syntax'],
  ['the clock in stats', 'stats/x.ts', 'export const now = () => new Date();', 'no-restricted-syntax'],
  ['the clock as a call', 'domain/x.ts', 'export const now = () => Date();', 'no-restricted-syntax'],
  ['chance in stats', 'stats/x.ts', 'export const roll = () => Math.random();', 'no-restricted-syntax'],
  ['a timer in domain', 'domain/x.ts', 'export const t = () => setTimeout(() => 1, 1);', 'no-restricted-globals'],
  ['process in workflows', 'workflows/x.ts', 'export const e = process.env;', 'no-restricted-globals'],
  ['fetch in workflows', 'workflows/x.ts', "export const f = () => fetch('x');", 'no-restricted-globals'],
  ['a default export', 'domain/x.ts', 'export default 1;', 'no-restricted-syntax'],
  ['vi.mock', 'test/domain/x.test.ts', "vi.mock('x');", 'no-restricted-syntax'],
  ['test.only', 'test/domain/x.test.ts', "test.only('x', () => undefined);", 'no-restricted-syntax'],
  ['describe.only', 'test/domain/x.test.ts', "describe.only('x', () => undefined);", 'no-restricted-syntax'],
  ['zod in workflows', 'workflows/x.ts', "import 'zod';", 'perennial/import-table'],
];

test.each(bad)('%s is refused in %s', async (_what, file, code, rule) => {
  expect(await rulesBroken(file, code)).toEqual([rule]);
});

const good: [what: string, file: string, code: string][] = [
  ['a given time in domain', 'domain/x.ts', 'export const at = (iso: string) => new Date(iso);'],
  ['the clock and a timer of a workflow', 'workflows/x.ts', 'export const t = () => setTimeout(() => Date.now(), 1);'],
  ['the clock in an activity', 'activities/x.ts', 'export const now = () => Date.now();'],
  ['the default export of a config file', 'some.config.ts', 'export default {};'],
];

test.each(good)('%s is accepted', async (_what, file, code) => {
  expect(await rulesBroken(file, code)).toEqual([]);
});

test('promises and switches are checked with types, everywhere', async () => {
  const plain = new ESLint({ cwd: projectRoot });
  for (const file of ['domain/run.ts', 'workers/flow.ts', 'test/adapters/config.test.ts']) {
    const { rules } = (await plain.calculateConfigForFile(join(projectRoot, file))) as {
      rules: Record<string, number[]>;
    };
    for (const rule of [
      'no-floating-promises',
      'no-misused-promises',
      'await-thenable',
      'switch-exhaustiveness-check',
    ]) {
      expect(rules[`@typescript-eslint/${rule}`]?.[0], `${rule} in ${file}`).toBe(2);
    }
  }
});

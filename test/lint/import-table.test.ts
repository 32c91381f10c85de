// The import table: each row's allowances and refusals, and the rule that reports them.
import { RuleTester } from 'eslint';
import tseslint from 'typescript-eslint';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';
import { importTable, mayImport, table } from '../../lint/import-table.js';

const cases: [file: string, specifier: string, values: boolean, types: boolean][] = [
  ['domain/run.ts', './ids.js', true, true],
  ['domain/run.ts', '../stats/prng.js', true, true],
  ['domain/run.ts', 'zod', false, false],
  ['domain/run.ts', 'node:crypto', false, false],
  ['domain/run.ts', '../db/run.js', false, false],
  ['stats/drift.ts', '../ml/provider.js', false, false],
  ['ml/trainers/linear.ts', 'onnxruntime-node', true, true],
  ['ml/trainers/linear.ts', '../../adapters/log.js', false, false],
  ['ml/trainers/linear.ts', 'pg', false, false],
  ['workflows/run.ts', '@temporalio/workflow', true, true],
  ['workflows/run.ts', '../activities/index.js', false, true],
  ['workflows/run.ts', '../db/schema/run.js', false, false],
  ['workflows/run.ts', 'zod', false, false],
  ['workflows/run.ts', 'node:fs', false, false],
  ['workflows/run.ts', '@temporalio/client', false, false],
  ['activities/training/train.ts', './resume.js', true, true],
  ['activities/training/train.ts', '../training.js', true, true],
  ['activities/training/train.ts', '../model/package.js', false, false],
  ['activities/training/train.ts', '../fail.js', true, true],
  ['activities/training/train.ts', '../step.js', true, true],
  ['activities/training/train.ts', '../steps.js', false, false],
  ['activities/model/check-program.ts', '../program.js', true, true],
  ['activities/model/check-program.ts', '../training/command.js', false, false],
  ['activities/training/train.ts', '../../db/run.js', true, true],
  ['activities/training/train.ts', '../../workflows/run.messages.js', false, true],
  ['activities/index.ts', './training/index.js', true, true],
  ['db/run.ts', 'drizzle-orm/pg-core', true, true],
  ['db/run.ts', '../adapters/config.js', false, true],
  ['db/run.ts', 'hono', false, false],
  ['adapters/store/fs.ts', '../../db/artifact.js', false, false],
  ['api/labeling.ts', '../workflows/labeling.messages.js', true, true],
  ['api/labeling.ts', '../workflows/labeling.js', false, true],
  ['api/labeling.ts', '../activities/labeling/steps.js', false, false],
  ['api/labeling.ts', '../ml/provider.js', false, false],
  ['workers/flow.ts', '../activities/index.js', true, true],
  ['workers/flow.ts', '../workflows/index.js', false, false],
  ['cli/run.ts', '../adapters/config.js', true, true],
  ['cli/run.ts', '../db/run.js', false, false],
  ['bench/noop.ts', '../db/run.js', true, true],
  ['vitest.config.ts', 'vitest/config', true, true],
];

test.each(cases)('%s importing %s: values %s, types %s', (file, specifier, values, types) => {
  expect(mayImport(file, specifier, false)).toBe(values);
  expect(mayImport(file, specifier, true)).toBe(types);
});

test('every row of the table lets a folder import itself, activities by noun only', () => {
  const others = Object.entries(table).filter(([folder]) => folder !== 'activities');
  for (const [folder, allowed] of others) expect(allowed).toContain(folder);
});

RuleTester.describe = describe;
RuleTester.it = it;
RuleTester.itOnly = it;

const filename = join(projectRoot, 'workflows/run.ts');
const errors = [{ messageId: 'forbidden' }];
const tester = new RuleTester({ languageOptions: { parser: tseslint.parser as never } });
tester.run('perennial/import-table', importTable as never, {
  valid: [
    { filename, code: "import { condition } from '@temporalio/workflow';" },
    { filename, code: "import type { Activities } from '../activities/index.js';" },
    { filename, code: "import { type Activities } from '../activities/index.js';" },
    { filename, code: "export * from './fail.js';" },
    { filename: join(projectRoot, 'test/db/run.test.ts'), code: "import { openRun } from '../../db/run.js';" },
  ],
  invalid: [
    { filename, errors, code: "import { createActivities } from '../activities/index.js';" },
    { filename, errors, code: "import { type A, create } from '../activities/index.js';" },
    { filename, errors, code: "import '../activities/index.js';" },
    { filename, errors, code: "export { openRun } from '../db/run.js';" },
    { filename, errors, code: "export * from '../db/run.js';" },
    { filename, errors, code: "const pg = await import('pg');" },
    { filename, errors, code: "type Row = import('../db/run.js').Row;" },
  ],
});

// Says whether the migrations still are the schema (`npm run db:diff`): generates into a copy of the folder and expects
// nothing new. That the migrations' SQL gives these tables is test/db/migrate.test.ts.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const copy = mkdtempSync(join('node_modules', '.db-diff-'));
try {
  cpSync(join('db', 'migrations'), copy, { recursive: true });
  const before = new Set(readdirSync(copy));
  const generate = ['generate', '--dialect', 'postgresql', '--schema', 'db/schema/index.ts', '--name', 'missing'];
  execFileSync(process.execPath, ['node_modules/drizzle-kit/bin.cjs', ...generate, '--out', relative('.', copy)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const missing = readdirSync(copy).filter((file) => file.endsWith('.sql') && !before.has(file));
  for (const file of missing) {
    process.stderr.write(`the schema has what no migration makes:\n${readFileSync(join(copy, file), 'utf8')}\n`);
  }
  if (missing.length > 0) process.exitCode = 1;
  else process.stdout.write('the migrations are the schema\n');
} catch (error) {
  const { stderr } = error as { stderr?: Buffer };
  process.stderr.write(`drizzle-kit did not answer: ${stderr?.toString() ?? String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

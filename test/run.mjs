#!/usr/bin/env node
// `npm run check` and `npm test`: every step runs, whatever the one before it said, so that one run shows all that is
// wrong. The last line is `N passed, N failed`: tests, and one failed for each other step that failed, named above it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const tool = (name) => ({ name, command: [npm, 'run', '--silent', name] });
const tests = (project) => ({ name: `tests (${project})`, project, command: vitest(project) });
const vitest = (project) => [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--project', project];

const check = [tool('format'), tool('lint'), tool('types'), tool('docs:diff'), tool('dead'), tests('fast')];
const modes = { check, all: [...check, tests('services')] };

/** Counts of one vitest run; a file that could not be loaded is one failure, and so is a run without a report. */
function counts(folder, status) {
  const [reported] = readdirSync(folder);
  if (!reported) return { passed: 0, failed: 1, names: ['the run ended without a report'] };
  const report = JSON.parse(readFileSync(join(folder, reported), 'utf8'));
  const names = report.testResults.flatMap(({ name: file, status: state, assertionResults }) => {
    const name = relative(process.cwd(), file);
    const failed = assertionResults.filter((one) => one.status === 'failed').map((one) => `${name}: ${one.fullName}`);
    return failed.length === 0 && state === 'failed' ? [`${name}: the file could not be run`] : failed;
  });
  if (status !== 0 && names.length === 0) names.push('an error outside of any test');
  return { passed: report.numPassedTests, failed: names.length, names };
}

function run({ name, project, command }) {
  console.log(`\n── ${name}`);
  const started = Date.now();
  const reports = mkdtempSync(join(tmpdir(), 'perennial-reports-'));
  const env = { ...process.env, PERENNIAL_TEST_REPORTS: reports };
  const { status } = spawnSync(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'], env });
  const result = project
    ? counts(reports, status)
    : { passed: 0, failed: status === 0 ? 0 : 1, names: status === 0 ? [] : [`npm run ${name}`] };
  rmSync(reports, { recursive: true, force: true });
  console.log(
    `── ${name}: ${result.failed === 0 ? 'ok' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
  return result;
}

const steps = modes[process.argv[2]];
if (!steps) throw new Error('usage: node test/run.mjs check|all');
const results = steps.map(run);
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
for (const name of results.flatMap(({ names }) => names)) console.log(`failed: ${name}`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 ? 0 : 1;

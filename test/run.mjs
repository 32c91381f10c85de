#!/usr/bin/env node
// `npm run check` and `npm test`: every step runs, whatever the one before it said, so that one run shows all that is
// wrong. The last line is `N passed, N failed`: tests, and one failed for each other step that failed, named above it.
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const tool = (name) => ({ name, command: [npm, 'run', '--silent', name] });
const tests = (project) => ({ name: `tests (${project})`, project, command: vitest(project) });
const vitest = (project) => [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--project', project];

const check = [tests('fast'), tool('lint'), tool('types'), tool('format'), tool('docs:diff'), tool('dead')];

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

/** One step to its end. `loud` shows its output as it comes; else it is shown whole when the step ends. */
function run({ name, project, command }, loud) {
  const started = Date.now();
  const reports = mkdtempSync(join(tmpdir(), 'perennial-reports-'));
  const env = { ...process.env, PERENNIAL_TEST_REPORTS: reports };
  if (loud) console.log(`\n── ${name}`);
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', loud ? 'inherit' : 'pipe', loud ? 'inherit' : 'pipe'],
    env,
  });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => said.push(chunk));
  return new Promise((resolve) => {
    child.once('close', (status) => {
      const result = project
        ? counts(reports, status)
        : { passed: 0, failed: status === 0 ? 0 : 1, names: status === 0 ? [] : [`npm run ${name}`] };
      rmSync(reports, { recursive: true, force: true });
      if (!loud) process.stdout.write(`\n── ${name}\n${Buffer.concat(said).toString()}`);
      const took = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`── ${name}: ${result.failed === 0 ? 'ok' : 'FAILED'} in ${took} s`);
      resolve(result);
    });
  });
}

/** The steps that need no services share the cores: two at a time, the long ones first. */
async function together(steps) {
  const left = [...steps];
  const results = [];
  const work = async () => {
    for (let step = left.shift(); step; step = left.shift()) results.push(await run(step, false));
  };
  await Promise.all([work(), work()]);
  return results;
}

const mode = process.argv[2];
if (mode !== 'check' && mode !== 'all') throw new Error('usage: node test/run.mjs check|all');
const results = await together(check);
if (mode === 'all') results.push(await run(tests('services'), true));
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
for (const name of results.flatMap(({ names }) => names)) console.log(`failed: ${name}`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 ? 0 : 1;

// `npm run bench -- <name> [--json]`: runs bench/<name>.ts and prints its figure as one JSON line or as a row of docs/lab.md.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../adapters/paths.js';

/** Both sides in one call; `ratio` is worded like the target, `peer` and `ratio` are null without another side. */
export interface Figure {
  ours: number;
  peer: number | null;
  ratio: number | null;
  unit: string;
  runs: number;
}

/** Names of the benches: every file of this folder that exports `bench`. */
function names(): string[] {
  return readdirSync(join(projectRoot, 'bench'))
    .filter((file) => /^[a-z0-9-]+\.ts$/.test(file) && file !== 'main.ts')
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
}

function machine(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, ' ').trim() ?? 'unknown CPU';
  return `${model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
}

function commit(): string {
  if (!existsSync(join(projectRoot, '.git'))) return 'no checkout';
  const git = (...words: string[]) => execFileSync('git', words, { cwd: projectRoot, encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' + changes';
  return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
}

function labRow(name: string, { ours, peer, ratio, unit, runs }: Figure): string {
  const against = peer === null ? '' : `, peer ${peer} ${unit}, ratio ${ratio}`;
  const date = new Date().toISOString().slice(0, 10);
  return `| ${date} | ${commit()} | ${machine()} | \`npm run bench -- ${name}\` | ${ours} ${unit}${against} (${runs} runs) |`;
}

const name = process.argv.slice(2).find((word) => !word.startsWith('-'));
if (!name || !names().includes(name)) {
  console.error(`${name ? `There is no bench ${name}. ` : ''}Benches: ${names().join(', ') || 'none yet'}.`);
  process.exitCode = 2;
} else {
  const module = pathToFileURL(join(projectRoot, 'dist/bench', `${name}.js`)).href;
  const { bench } = (await import(module)) as { bench: () => Promise<Figure> };
  const figure = await bench();
  const { ours, peer, ratio, unit, runs } = figure;
  const line = JSON.stringify({ bench: name, ours, peer, ratio, unit, runs, machine: machine() });
  console.log(process.argv.includes('--json') ? line : labRow(name, figure));
}

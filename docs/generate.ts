// Writes the generated parts of the documents: `docs/generate.ts` writes, `--check` names what differs and fails.
// Generated: the README's settings table and tree, docs/openapi.json. docs/errors.md is checked by a test.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { settings } from '../adapters/config.js';
import { projectRoot } from '../adapters/paths.js';
import { openApiText } from '../api/openapi.js';
import { treeMarkdown } from './tree.js';

function settingsMarkdown(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = settings.map(
    ({ name, default: value, meaning, readBy }) => `| \`${name}\` | ${cell(value)} | ${cell(meaning)} | ${readBy} |`,
  );
  return ['| variable | default | meaning | read by |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`. */
function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close);
  if (from === -1 || to < from) throw new Error(`README.md has no ${open} … ${close}`);
  return `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`;
}

async function readme(): Promise<string> {
  const path = join(projectRoot, 'README.md');
  let text = readFileSync(path, 'utf8');
  text = fill(text, 'settings', settingsMarkdown());
  text = fill(text, 'tree', treeMarkdown(projectRoot));
  return format(text, { ...(await resolveConfig(path)), parser: 'markdown' });
}

const generated: Record<string, string> = {
  'README.md': await readme(),
  'docs/openapi.json': openApiText(),
};
const check = process.argv.includes('--check');
for (const [file, wanted] of Object.entries(generated)) {
  const path = join(projectRoot, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === wanted) continue;
  if (check) {
    console.error(`${file} is out of date: npm run docs:write`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, wanted);
    console.log(`wrote ${file}`);
  }
}

// The annotated tree of the README: every file of the project with the first sentence of its own header.
// Tests are listed by name, one line a folder: what they say stands in their titles.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Order of the README, and what each folder is. */
export const folders: Record<string, string> = {
  domain: 'words and rules: types, states, pure decisions, the catalogue of failures',
  stats: 'pure statistics',
  ml: 'the ONNX writer, features, trainers, the model file',
  workflows: 'the stories that Temporal keeps: sequence, waiting, branching',
  activities: 'the only code that does things inside a run',
  workers: 'the processes: supervisor, pools, forked trainer and scorer',
  api: 'the HTTP API and its pages',
  db: 'tables and every SQL statement',
  adapters: 'the outside behind small interfaces',
  web: 'pages of the Hono app',
  cli: 'the command line client of the API',
  examples: 'runnable, and run by the tests',
  bench: 'one file per figure',
  deploy: 'what containers need',
  docs: 'pages to read, and what generates parts of them',
  lint: 'our own lint rules',
  bin: 'how TypeScript entries start as plain Node',
  test: 'mirrors the tree',
};

/** Files that cannot carry a comment of their own, or whose tool forbids one. */
const fixed: Record<string, string> = {
  'package.json': 'scripts, exact versions',
  'tsconfig.json': 'strict TypeScript, checked and never emitted',
  'knip.json': 'entries for the search for dead code',
  'drizzle.config.ts': 'where drizzle-kit finds tables and migrations',
};

const skipped = new Set(['node_modules', 'dist', 'coverage', 'test-results', 'images', 'migrations', 'sources']);
const listed = /\.(ts|tsx|mjs|js|sh|md|yml|yaml)$/;

/** Paths of all listed files below `root`, with `/`, sorted. */
export function projectFiles(root: string, folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && !skipped.has(name))
    .flatMap((entry) => {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      if (entry.isDirectory()) return projectFiles(root, path);
      return listed.test(entry.name) || path in fixed || entry.name === 'Dockerfile' ? [path] : [];
    })
    .sort((a, b) => (a < b ? -1 : 1));
}

/** The first sentence of a header comment or, in Markdown, the title; null when there is none. */
export function headerSentence(path: string, text: string): string | null {
  if (path.endsWith('.md')) return /^# (.+)$/m.exec(text)?.[1]?.trim() ?? null;
  const mark = /\.(sh|ya?ml)$|Dockerfile$/.test(path) ? '#' : '//';
  const lines = text.split('\n');
  if (lines[0]?.startsWith('#!')) lines.shift();
  const end = lines.findIndex((line) => !line.startsWith(mark));
  const comment = lines.slice(0, end === -1 ? lines.length : end).map((line) => line.slice(mark.length).trim());
  const sentence = /^(.*?)([.]( |$)|$)/s.exec(comment.join(' '))?.[1]?.trim();
  return sentence ? sentence : null;
}

const isTest = (path: string) => path.startsWith('test/');

export function describeFile(root: string, path: string): string | null {
  return fixed[path] ?? headerSentence(path, readFileSync(join(root, path), 'utf8'));
}

/** Files without a header; tests are described by their titles and need none. */
export function withoutHeader(root: string): string[] {
  return projectFiles(root).filter((path) => !isTest(path) && describeFile(root, path) === null);
}

function testLines(files: string[]): string[] {
  return [...groupBy(files)].map(([folder, paths]) => {
    const names = paths.map((path) => `\`${basename(path)}\``);
    return `- \`${folder}/\`: ${names.join(', ')}`;
  });
}

function groupBy(files: string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const path of files) groups.set(dirname(path), [...(groups.get(dirname(path)) ?? []), path]);
  return groups;
}

/** Markdown: one folding block per folder, one line per file. */
export function treeMarkdown(root: string): string {
  const all = projectFiles(root);
  const blocks = Object.entries(folders).flatMap(([folder, what]) => {
    const files = all.filter((path) => path.startsWith(`${folder}/`));
    if (files.length === 0) return [];
    const lines =
      folder === 'test'
        ? testLines(files)
        : files.map((path) => `- \`${path}\`: ${describeFile(root, path) ?? 'no header'}`);
    const summary = `<summary><code>${folder}/</code> ${what} (${files.length} files)</summary>`;
    return [`<details>${summary}\n\n${lines.join('\n')}\n\n</details>`];
  });
  const rootFiles = all.filter((path) => !path.includes('/')).map((path) => `\`${path}\``);
  return `${blocks.join('\n')}\n\nIn the root: ${rootFiles.join(', ')}.`;
}

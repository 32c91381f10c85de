// Documents name files: each one that they name exists, and each relative link leads somewhere.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';

const pages = ['README.md', ...readdirSync(join(projectRoot, 'docs')).filter((file) => file.endsWith('.md'))].map(
  (file) => (file === 'README.md' ? file : `docs/${file}`),
);

function linksOf(page: string): string[] {
  const text = readFileSync(join(projectRoot, page), 'utf8').replace(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)].map(([, target]) => target!);
}

function namedTests(page: string): string[] {
  const text = readFileSync(join(projectRoot, page), 'utf8');
  return [...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => path!);
}

test.each(pages)('%s links only to what is there', (page) => {
  const relative = linksOf(page).filter((target) => !/^[a-z]+:/.test(target));
  expect(relative.filter((target) => !existsSync(join(projectRoot, dirname(page), target)))).toEqual([]);
});

test.each(pages)('%s names only tests that exist', (page) => {
  expect(namedTests(page).filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
});

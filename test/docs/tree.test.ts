// The README's tree: every file is in it, every file says what it is.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';
import { folders, headerSentence, projectFiles, withoutHeader } from '../../docs/tree.js';

test('every file outside test/ opens with a comment that says what it is', () => {
  expect(withoutHeader(projectRoot)).toEqual([]);
});

test('every file is in the tree of the README', () => {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const shown = (path: string) => readme.includes(path.startsWith('test/') ? `\`${basename(path)}\`` : `\`${path}\``);
  expect(projectFiles(projectRoot).filter((path) => !shown(path))).toEqual([]);
});

test('every folder with files is described', () => {
  const found = new Set(projectFiles(projectRoot).flatMap((path) => (path.includes('/') ? [path.split('/')[0]] : [])));
  expect([...found].filter((folder) => !(folder! in folders))).toEqual([]);
});

test.each([
  ['a.ts', '// One thing: the first. And another.\nimport x', 'One thing: the first'],
  ['a.ts', '// A sentence that goes\n// on. Then more.\n', 'A sentence that goes on'],
  ['a.mjs', '#!/usr/bin/env node\n// Runs v1.5 of it\n\n', 'Runs v1.5 of it'],
  ['a.sh', '#!/bin/sh\n# Makes the schema.\nset -e', 'Makes the schema'],
  ['a.md', 'x\n\n# Title\n', 'Title'],
  ['a.ts', "import x from 'y';\n// late", null],
  ['a.ts', '', null],
])('%s: the sentence of %j', (path, text, sentence) => {
  expect(headerSentence(path, text)).toBe(sentence);
});

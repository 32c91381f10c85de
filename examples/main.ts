// `npm run example <NN> [arguments]`: runs examples/NN-…/main.ts; without a number it lists the examples.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../adapters/paths.js';

const runnable = (folder: string) => existsSync(join(projectRoot, 'examples', folder, 'main.ts'));
const examples = readdirSync(join(projectRoot, 'examples')).filter(runnable).sort();
const wanted = process.argv[2];
const found = wanted && examples.find((folder) => folder === wanted || folder.startsWith(`${wanted}-`));

if (found) {
  process.argv.splice(2, 1);
  await import(pathToFileURL(join(projectRoot, 'dist/examples', found, 'main.js')).href);
} else {
  console.error(`${wanted ? `There is no example ${wanted}. ` : ''}Examples: ${examples.join(', ') || 'none yet'}.`);
  console.error('The demo is `npm run demo`.');
  process.exitCode = 2;
}

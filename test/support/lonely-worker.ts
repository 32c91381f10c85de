// A worker that runs one program and is killed by a test.
import { readFile } from 'node:fs/promises';
import type { CommandSpec } from '../../domain/command.js';
import { follow } from '../children/programs.js';

const spec = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as CommandSpec;
await (
  await follow(spec).run
).done;

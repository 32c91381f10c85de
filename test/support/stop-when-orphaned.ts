// `stop-when-orphaned.ts <home>`: waits until the pipe on stdin closes, that is until the test run has ended in any way
// (SIGKILL too), then stops the services of this home. A run that stopped them itself leaves it nothing to do.
import { existsSync } from 'node:fs';
import { stopServices } from './services.js';

const home = process.argv[2];
if (!home) throw new Error('usage: stop-when-orphaned.ts <home>');
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdin.resume();
await new Promise<void>((resolve) => {
  process.stdin.once('end', resolve).once('error', () => resolve());
});
if (existsSync(home)) await stopServices(home);

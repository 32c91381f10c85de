// `npm run worker -- flow|cpu|gpu`: one worker process of one pool.
import { queues } from '../domain/queues.js';

const [name] = process.argv.slice(2);
if (!queues.some((queue) => queue === name)) {
  console.error(`usage: npm run worker -- ${queues.join('|')} (found ${name ?? 'nothing'})`);
  process.exit(2);
}
await import(`./${name}.js`);

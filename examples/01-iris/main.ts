// `npm run example 01` against a running perennial.
import { show } from './play.js';
import { run } from './run.js';

await show(run);

// `npm run example 06` against a running perennial.
import { show } from '../01-iris/play.js';
import { run } from './run.js';

await show(run);

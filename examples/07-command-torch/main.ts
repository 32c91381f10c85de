// `npm run example 07` against a running perennial.
import { show } from '../01-iris/play.js';
import { run } from './run.js';

await show(run);

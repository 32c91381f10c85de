// Iris by a program: scikit-learn in an environment of its own.
import type { Api } from '../digits/client.js';
import { play, type Played, type Say } from '../01-iris/play.js';
import { flowers } from '../01-iris/run.js';

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '06-command-sklearn', flowers, say);
}

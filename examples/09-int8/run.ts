// Digits in int8: the variant that is judged is the one that answers.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';
import { readDigits } from '../digits/rows.js';

export async function run(api: Api, say?: Say): Promise<Played> {
  const { rows } = await readDigits();
  return play(api, '09-int8', rows.slice(0, 3), say);
}

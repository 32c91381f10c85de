// Iris: from rows to a champion with nobody in between.
import type { Api } from '../digits/client.js';
import { play, type Played, type Say } from './play.js';

export const flowers = [
  { sepal_length_cm: 5.1, sepal_width_cm: 3.5, petal_length_cm: 1.4, petal_width_cm: 0.2 },
  { sepal_length_cm: 6.7, sepal_width_cm: 3.1, petal_length_cm: 5.6, petal_width_cm: 2.4 },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '01-iris', flowers, say);
}

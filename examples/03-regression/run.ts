// Prices of houses: a regression, judged by its error.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

export const houses = [
  { area_m2: 60, rooms: 2, age_years: 10, district: 'north' },
  { area_m2: 120, rooms: 5, age_years: null, district: 'harbour' },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '03-regression', houses, say);
}

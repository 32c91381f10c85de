// Parcels that come late or not: trees on numbers, categories and missing cells, with one direction that is known before.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

const parcel = { weight_kg: 4.5, carrier: 'Delta', depot: 'harbour', weekday: 'tue', hour: 12 };

/** The same parcel, sent ever farther; the last of unknown weight, by a carrier that no row has. */
export const parcels = [
  ...[20, 100, 200, 390].map((distance) => ({ ...parcel, distance_km: distance })),
  { ...parcel, carrier: 'Unknown', weight_kg: null, distance_km: 100 },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '04-trees', parcels, say);
}

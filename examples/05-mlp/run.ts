// States of machines: a network beside a linear model, the better one is promoted.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

export const machines = [
  { load_kw: 80, speed_rpm: 800, temperature_c: 50, cooling: 'fan' },
  { load_kw: 50, speed_rpm: 1500, temperature_c: 48, cooling: 'water' },
  { load_kw: 85, speed_rpm: 2300, temperature_c: 75, cooling: 'none' },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '05-mlp', machines, say);
}

// A table as the world writes it: scripts, quotes, commas and line breaks in names, cells and labels.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

export const visits = [
  { 'città, luogo': 'Köln', '기온 "°C"': -8, 'seit wann': '2020-02-03', premium: true, Betrag: 120.5 },
  { premium: 'false', Betrag: null, 'seit wann': null, '기온 "°C"': 29.5, 'città, luogo': 'two\nlines' },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '02-mixed-table', visits, say);
}

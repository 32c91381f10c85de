// Digits as images: a convolutional network from rows to champion.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

/** A ring and a bar, drawn by hand. */
const drawings = {
  ring: ['00199000', '09999900', '09000990', '09000090', '09000090', '09000990', '09999900', '00199000'],
  bar: ['00009900', '00099900', '00999900', '00009900', '00009900', '00009900', '00009900', '00009900'],
};

function pixelsOf(lines: string[]): Record<string, number> {
  const cells = lines.flatMap((line, y) =>
    [...line].map((ink, x) => [`px${y}${x}`, Math.round((Number(ink) * 16) / 9)] as const),
  );
  return Object.fromEntries(cells);
}

export const images = Object.values(drawings).map(pixelsOf);

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '10-cnn', images, say);
}

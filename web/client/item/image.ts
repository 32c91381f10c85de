// An item's picture: a data URL, bytes of this server (fetched with the token), or columns of pixels on a canvas. In place of one
// that cannot be shown stand words, marked so that the pages take no answer about it by accident.
import { fetchBlob } from '../api.js';
import { h } from '../dom.js';
import type { Picture } from './fields.js';

/** Shown at once for data and pixels; stored pictures appear when their bytes are there. */
export function imageView(picture: Picture): HTMLElement {
  if (picture.kind === 'pixels') return canvasOf(picture);
  const column = picture.columns[0] ?? '';
  const image = h('img', { class: 'picture', alt: `Picture from the column ${column}`, draggable: 'false' });
  image.addEventListener('error', () => replace(image, column, 'its bytes are no picture'));
  if (picture.kind === 'address') image.src = picture.address;
  else void load(image, picture.path, column);
  return image;
}

function replace(image: HTMLImageElement, column: string, why: string): void {
  const words = `The picture from the column ${column} could not be loaded: ${why}`;
  image.replaceWith(h('p', { class: 'picture broken', role: 'alert' }, words));
}

/** Whether what is shown in here lacks its picture. */
export function lacksPicture(...places: Element[]): boolean {
  return places.some((place) => place.querySelector('.picture.broken') !== null);
}

async function load(image: HTMLImageElement, path: string, column: string): Promise<void> {
  try {
    const url = URL.createObjectURL(await fetchBlob(path));
    for (const end of ['load', 'error']) image.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch (error) {
    replace(image, column, (error as Error).message);
  }
}

function canvasOf({ side, values, most }: Extract<Picture, { kind: 'pixels' }>): HTMLCanvasElement {
  const label = `Picture of ${side} × ${side} pixels`;
  const canvas = h('canvas', { class: 'picture pixels', width: side, height: side, role: 'img', 'aria-label': label });
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const pixels = context.createImageData(side, side);
  values.forEach((value, place) => {
    const grey = Math.round((255 * value) / (most || 1));
    pixels.data.set([grey, grey, grey, 255], 4 * place);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}

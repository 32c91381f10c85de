// An item's picture: a data URL, bytes of this server (fetched with the token), or columns of pixels on a canvas.
import { fetchBlob } from '../api.js';
import { h } from '../dom.js';
import type { Picture } from './fields.js';

/** Shown at once for data and pixels; stored pictures appear when their bytes are there. */
export function imageView(picture: Picture): HTMLElement {
  if (picture.kind === 'pixels') return canvasOf(picture);
  const image = h('img', {
    class: 'picture',
    alt: `Picture from the column ${picture.columns[0] ?? ''}`,
    draggable: 'false',
  });
  if (picture.kind === 'address') image.src = picture.address;
  else void load(image, picture.path);
  return image;
}

async function load(image: HTMLImageElement, path: string): Promise<void> {
  try {
    const url = URL.createObjectURL(await fetchBlob(path));
    image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch (error) {
    image.alt = `This picture could not be loaded: ${(error as Error).message}`;
    image.classList.add('broken');
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

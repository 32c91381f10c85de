// The frame of the plain pages: that of web/, with the script that signs in where a page is closed to strangers.
import type { html } from 'hono/html';
import { type Frame, layout as frameOf } from '../../web/layout.js';

export { pagePolicy } from '../../web/layout.js';

export function layout(frame: string | Frame, content: ReturnType<typeof html>) {
  return frameOf(typeof frame === 'string' ? { title: frame } : frame, content);
}

// Where a box is: from two corners, and one step on by a key. Always inside of the picture.
import type { Box } from '../../../domain/label-kind.js';

interface Point {
  x: number;
  y: number;
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

/** The box between two points, cut at the picture's edges. */
export function cornered(a: Point, b: Point): Omit<Box, 'label'> {
  const [left, right] = [within(Math.min(a.x, b.x), 0, 1), within(Math.max(a.x, b.x), 0, 1)];
  const [top, bottom] = [within(Math.min(a.y, b.y), 0, 1), within(Math.max(a.y, b.y), 0, 1)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** Of the picture's width or height. */
const step = 0.01;
const steps: Record<string, [x: number, y: number]> = {
  ArrowLeft: [-step, 0],
  ArrowRight: [step, 0],
  ArrowUp: [0, -step],
  ArrowDown: [0, step],
};

/** The box after an arrow key, moved or with another size; null for other keys. */
export function changed(box: Box, key: string, size: boolean): Box | null {
  const by = steps[key];
  if (by === undefined) return null;
  const [x, y] = by;
  if (size) {
    return { ...box, width: within(box.width + x, step, 1 - box.x), height: within(box.height + y, step, 1 - box.y) };
  }
  return { ...box, x: within(box.x + x, 0, 1 - box.width), y: within(box.y + y, 0, 1 - box.height) };
}

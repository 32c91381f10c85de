// Boxes in a picture: drawn by dragging, or made with N and moved with the arrow keys; Enter answers.
// Boxes are kept in shares of the picture's width and height.
import type { Box } from '../../../domain/label-kind.js';
import { button, h, put } from '../dom.js';
import { pictureOf } from '../item/fields.js';
import { imageView } from '../item/image.js';
import type { Item } from '../types.js';
import { changed, cornered } from './box-shape.js';
import { classPicker } from './class-picker.js';
import type { AnswerContext, AnswerControl } from './control.js';

function percent(share: number): string {
  return `${(share * 100).toFixed(2)}%`;
}

function place(element: HTMLElement, { x, y, width, height }: Omit<Box, 'label'>): void {
  // style rules by CSSOM: the page's policy forbids style attributes
  Object.assign(element.style, { left: percent(x), top: percent(y), width: percent(width), height: percent(height) });
}

export function boxAnswer(context: AnswerContext): AnswerControl {
  let boxes: Box[] = [];
  let chosen = -1;
  const stage = h('div', { class: 'stage' });
  const layer = h('div', { class: 'boxes' });
  const state = h('p', { class: 'soft', role: 'status' });
  const relabel = (label: string) => {
    const box = boxes[chosen];
    if (box) replace(chosen, { ...box, label });
  };
  const picker = classPicker(context, relabel);
  const replace = (at: number, box: Box) => {
    boxes = boxes.map((one, index) => (index === at ? box : one));
    draw();
  };
  const choose = (at: number) => {
    if (chosen === at) return;
    chosen = at;
    draw();
  };
  const draw = () => {
    const views = boxes.map((box, at) => {
      const label = `Box ${at + 1}: ${box.label}, ${percent(box.x)} from the left, ${percent(box.y)} from the top`;
      const view = h('button', {
        type: 'button',
        class: at === chosen ? 'box chosen' : 'box',
        'aria-label': label,
        'data-label': box.label,
        'data-enter': true,
        focus: () => choose(at),
      });
      place(view, box);
      return view;
    });
    put(layer, ...views);
    put(state, boxes.length === 0 ? 'No box yet.' : `${boxes.length} ${boxes.length === 1 ? 'box' : 'boxes'}.`);
    views[chosen]?.focus({ preventScroll: true });
  };
  const add = (shape: Omit<Box, 'label'>) => {
    const label = picker.current();
    if (label === null) return put(state, 'Type a class first.');
    boxes = [...boxes, { ...shape, label }];
    chosen = boxes.length - 1;
    draw();
  };
  const remove = () => {
    boxes = boxes.filter((_, at) => at !== chosen);
    chosen = boxes.length - 1;
    draw();
  };
  const send = () => context.submit(boxes);
  drawing(layer, add);
  return {
    element: h(
      'div',
      {},
      stage,
      picker.element,
      state,
      h(
        'div',
        { class: 'buttons' },
        button('New box', () => add(centre), { key: 'n' }),
        button('Remove box', remove, { key: 'Delete' }),
        button('Answer', send, { class: 'main', key: 'Enter', 'data-enter': true }),
      ),
    ),
    columns: (item: Item) => pictureOf(item)?.columns ?? [],
    show: (item, before) => {
      const picture = pictureOf(item);
      boxes = Array.isArray(before) ? [...(before as Box[])] : [];
      chosen = -1;
      put(stage, picture ? imageView(picture) : h('p', { class: 'problem' }, 'This item has no picture.'), layer);
      draw();
    },
    key: (event) => {
      if (picker.byKey(event) !== null) return true;
      const box = boxes[chosen];
      const moved = box && changed(box, event.key, event.shiftKey);
      if (moved) replace(chosen, moved);
      else if (event.key === 'Delete' || event.key === 'Backspace') remove();
      else if (event.key === 'n') add(centre);
      else if (event.key === 'Enter') send();
      else return false;
      return true;
    },
    help: [
      ['drag, or N', 'draw a box, or put one in the middle'],
      ['Tab', 'to the next box'],
      ['arrow keys', 'move the box; with Shift its size'],
      ['1 – 9, 0', 'its class, and that of the next ones'],
      ['Delete', 'remove the box'],
      ['Enter', 'answer; without a box: there is nothing'],
    ],
  };
}

const centre = { x: 0.375, y: 0.375, width: 0.25, height: 0.25 };
/** A drag shorter than this share of the picture is a click. */
const least = 0.005;

/** Calls `add` with each box that is dragged on `layer`. */
function drawing(layer: HTMLElement, add: (shape: Omit<Box, 'label'>) => void): void {
  const at = (event: PointerEvent) => {
    const { left, top, width, height } = layer.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  };
  layer.addEventListener('pointerdown', (event) => {
    if (event.target !== layer || event.button !== 0) return;
    event.preventDefault();
    const from = at(event);
    const sketch = h('div', { class: 'box sketch' });
    layer.append(sketch);
    layer.setPointerCapture(event.pointerId);
    const move = (later: PointerEvent) => place(sketch, cornered(from, at(later)));
    const end = (later: PointerEvent) => {
      layer.removeEventListener('pointermove', move);
      layer.removeEventListener('pointerup', end);
      layer.removeEventListener('pointercancel', end);
      sketch.remove();
      const shape = cornered(from, at(later));
      if (later.type === 'pointerup' && shape.width > least && shape.height > least) add(shape);
    };
    layer.addEventListener('pointermove', move);
    layer.addEventListener('pointerup', end);
    layer.addEventListener('pointercancel', end);
  });
}

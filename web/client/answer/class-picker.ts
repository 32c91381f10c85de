// The class of what is marked next, for spans and boxes: a key chooses it; without a list it is typed.
import { h } from '../dom.js';
import { type AnswerContext, classButtons, labelField, placeOf } from './control.js';

export interface ClassPicker {
  element: HTMLElement;
  /** Null: none yet. */
  current(): string | null;
  /** The class of a digit key; null: the key stands for none. */
  byKey(event: KeyboardEvent): string | null;
}

/** `picked` is called with each class that is chosen. */
export function classPicker({ classes }: AnswerContext, picked: (name: string) => void): ClassPicker {
  if (classes === null) {
    const { element, input } = labelField('Class of the next mark');
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing && input.value.trim() !== '') {
        input.blur();
        picked(input.value.trim());
      }
    });
    return { element, current: () => input.value.trim() || null, byKey: () => null };
  }
  let current = classes[0] ?? null;
  const draw = () =>
    buttons.forEach((one, place) => one.setAttribute('aria-pressed', String(classes[place] === current)));
  const choose = (place: number) => {
    const name = classes[place];
    if (name === undefined) return null;
    current = name;
    draw();
    picked(name);
    return name;
  };
  const buttons = classButtons(classes, choose);
  draw();
  return {
    element: h('div', { class: 'classes', role: 'group', 'aria-label': 'Classes' }, ...buttons),
    current: () => current,
    byKey: (event) => {
      const place = placeOf(event, classes);
      return place < 0 ? null : choose(place);
    },
  };
}

// What every way to answer has in common: it shows an item's part of the answer, takes keys, and hands over a label.
import { button, h } from '../dom.js';
import type { Item } from '../types.js';

export interface AnswerContext {
  /** Null: any label is taken. */
  classes: string[] | null;
  /** The person is done with the item. */
  submit(label: unknown): void;
}

export interface AnswerControl {
  element: HTMLElement;
  /** Columns that this control shows itself. */
  columns(item: Item): string[];
  /** Begins a new item; `label`: an answer that was taken back. */
  show(item: Item, label?: unknown): void;
  /** True: the key was meant for this control. */
  key(event: KeyboardEvent): boolean;
  /** What the keys do, for the help. */
  help: [keys: string, meaning: string][];
}

/** The key of each class: 1 to 9 and 0 by its place, none for later ones; where classes are digits, the digit itself. */
function keysOf(classes: readonly string[]): (string | null)[] {
  if (classes.every((name) => /^[0-9]$/.test(name))) return [...classes];
  return classes.map((_, place) => (place > 9 ? null : String((place + 1) % 10)));
}

/** Which class a key stands for, by its place; -1: none. */
export function placeOf(event: KeyboardEvent, classes: readonly string[]): number {
  return keysOf(classes).indexOf(event.key);
}

/** One button per class, with its key. */
export function classButtons(classes: readonly string[], press: (place: number) => void): HTMLButtonElement[] {
  const keys = keysOf(classes);
  return classes.map((name, place) => {
    const key = keys[place] ?? null;
    const properties = { class: 'class', 'data-enter': true, ...(key === null ? {} : { key }) };
    return button(name, () => press(place), properties);
  });
}

/** A field for labels that nobody listed. */
export function labelField(
  label: string,
  properties: Record<string, string | boolean> = {},
): { element: HTMLElement; input: HTMLInputElement } {
  const input = h('input', { type: 'text', id: 'answer-input', maxlength: 1_000, autocomplete: 'off', ...properties });
  return { element: h('div', { class: 'field' }, h('label', { for: 'answer-input' }, label), input), input };
}

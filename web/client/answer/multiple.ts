// Any number of classes: keys switch them, Enter answers; none is an answer too.
import { button, h } from '../dom.js';
import { type AnswerContext, type AnswerControl, classButtons, labelField, placeOf } from './control.js';

export function multipleAnswer(context: AnswerContext): AnswerControl {
  return context.classes === null ? typed(context) : listed(context, context.classes);
}

function listed({ submit }: AnswerContext, classes: string[]): AnswerControl {
  const chosen = new Set<string>();
  const draw = () =>
    buttons.forEach((one, place) => one.setAttribute('aria-pressed', String(chosen.has(classes[place] ?? ''))));
  const toggle = (place: number) => {
    const name = classes[place];
    if (name === undefined) return;
    if (!chosen.delete(name)) chosen.add(name);
    draw();
  };
  const send = () => submit(classes.filter((name) => chosen.has(name)));
  const buttons = classButtons(classes, toggle);
  const done = button('Answer', send, { class: 'main', key: 'Enter', 'data-enter': true });
  return {
    element: h('div', {}, h('div', { class: 'classes', role: 'group', 'aria-label': 'Classes' }, ...buttons), done),
    columns: () => [],
    show: (_, label) => {
      chosen.clear();
      for (const one of Array.isArray(label) ? label : []) chosen.add(String(one));
      draw();
    },
    key: (event) => {
      const place = placeOf(event, classes);
      if (event.key === 'Enter') send();
      else if (place >= 0) toggle(place);
      else return false;
      return true;
    },
    help: [
      ['1 – 9, 0', 'switch that class'],
      ['Enter', 'answer; with none chosen: none of them'],
    ],
  };
}

function typed({ submit }: AnswerContext): AnswerControl {
  const { element, input } = labelField('Labels, with commas between');
  const send = () =>
    submit([
      ...new Set(
        input.value
          .split(',')
          .map((one) => one.trim())
          .filter(Boolean),
      ),
    ]);
  element.append(button('Answer', send, { class: 'main' }));
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.isComposing) send();
  });
  return {
    element,
    columns: () => [],
    show: (_, label) => {
      input.value = Array.isArray(label) ? label.join(', ') : '';
      input.focus();
    },
    key: () => false,
    help: [['Enter', 'answer with what is typed']],
  };
}

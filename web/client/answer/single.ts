// One class: a key or a press answers at once. Without a list of classes the answer is typed.
import { button, h, put } from '../dom.js';
import { type AnswerContext, type AnswerControl, classButtons, labelField, placeOf } from './control.js';

export function singleAnswer(context: AnswerContext): AnswerControl {
  return context.classes === null ? typed(context) : listed(context, context.classes);
}

function listed({ submit }: AnswerContext, classes: string[]): AnswerControl {
  const choose = (place: number) => {
    const label = classes[place];
    if (label !== undefined) submit(label);
  };
  const buttons = classButtons(classes, choose);
  return {
    element: h('div', { class: 'classes', role: 'group', 'aria-label': 'Classes' }, ...buttons),
    columns: () => [],
    show: (_, label) => buttons.forEach((one, place) => one.classList.toggle('before', classes[place] === label)),
    key: (event) => {
      const place = placeOf(event, classes);
      if (place < 0) return false;
      choose(place);
      return true;
    },
    help: [['1 – 9, 0', 'answer with that class']],
  };
}

function typed({ submit }: AnswerContext): AnswerControl {
  const { element, input } = labelField('Label', { 'aria-describedby': 'answer-problem' });
  const problem = h('p', { class: 'problem', id: 'answer-problem', role: 'alert' });
  const send = () => {
    const text = input.value.trim();
    put(problem, text === '' ? 'Type a label first, or skip.' : '');
    if (text !== '') submit(text);
    else input.focus();
  };
  element.append(button('Answer', send, { class: 'main' }), problem);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.isComposing) send();
  });
  return {
    element,
    columns: () => [],
    show: (_, label) => {
      input.value = typeof label === 'string' ? label : '';
      put(problem);
      input.focus();
    },
    key: () => false,
    help: [
      ['Enter', 'answer with what is typed'],
      ['Esc', 'leave the field, for the other keys'],
    ],
  };
}

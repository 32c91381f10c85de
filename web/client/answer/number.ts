// A number: typed, Enter answers. What is typed into the field is the field's: letters are keys again once it is left.
import { button, put, h } from '../dom.js';
import { type AnswerContext, type AnswerControl, labelField } from './control.js';

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function numberAnswer({ submit }: AnswerContext): AnswerControl {
  const { element, input } = labelField('Value', {
    inputmode: 'decimal',
    'aria-describedby': 'answer-problem',
  });
  const problem = h('p', { class: 'problem', id: 'answer-problem', role: 'alert' });
  const send = () => {
    const text = input.value.trim();
    const fits = decimal.test(text) && Number.isFinite(Number(text));
    put(problem, fits ? '' : 'Type a number, such as 12.5');
    if (fits) submit(text);
    else input.focus();
  };
  element.append(button('Answer', send, { class: 'main' }), problem);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') send();
  });
  return {
    element,
    columns: () => [],
    show: (_, label) => {
      input.value = typeof label === 'string' || typeof label === 'number' ? String(label) : '';
      put(problem);
      input.focus();
    },
    key: () => false,
    help: [
      ['Enter', 'answer with the number'],
      ['Esc', 'leave the field, for the other keys'],
    ],
  };
}

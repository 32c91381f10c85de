import { labelFault } from '../../domain/label-fault.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelKinds, labelText, type LabelSpace } from '../../domain/label-kind.js';

const classes = ['cat', 'dog', '3', 'é'];
const of = (kind: LabelSpace['kind'], more: Partial<LabelSpace> = {}): LabelSpace => ({ kind, classes, ...more });

describe('labelText', () => {
  it('takes a class, a number as its decimal text, and letters in one form', () => {
    expect(labelText('cat', of('single'))).toBe('cat');
    expect(labelText(3, of('single'))).toBe('3');
    expect(labelText('e\u0301', of('single'))).toBe('é');
    expect(labelText('zebra', of('single'))).toBeNull();
    expect(labelText('zebra', of('single', { classes: null }))).toBe('zebra');
    for (const none of ['', null, undefined, {}, ['cat'], true]) expect(labelText(none, of('single'))).toBeNull();
  });

  it('keeps the spelling of the data where letters are composed otherwise', () => {
    const apart = { classes: ['e\u0301', 'n'] };
    for (const typed of ['é', 'e\u0301']) expect(labelText(typed, of('single', apart))).toBe('e\u0301');
    expect(labelText(['é'], of('multiple', apart))).toBe('["e\u0301"]');
    // both are in the data
    const both = { classes: ['é', 'e\u0301'] };
    for (const typed of both.classes) expect(labelText(typed, of('single', both))).toBe(typed);
  });

  it('takes sets of classes in any order, each once, as a list or its text', () => {
    expect(labelText(['dog', 'cat', 'dog'], of('multiple'))).toBe('["cat","dog"]');
    expect(labelText('["dog","cat"]', of('multiple'))).toBe('["cat","dog"]');
    expect(labelText([], of('multiple'))).toBe('[]');
    for (const none of ['cat', ['zebra'], {}, '{', null]) expect(labelText(none, of('multiple'))).toBeNull();
  });

  it('takes spans inside the text', () => {
    const space = of('span', { textLength: 10 });
    expect(labelText([{ end: 4, start: 0, label: 'dog', colour: 'red' }], space)).toBe(
      '[{"end":4,"label":"dog","start":0}]',
    );
    for (const [start, end] of [
      [0, 11],
      [4, 4],
      [5, 2],
      [-1, 3],
      [0.5, 3],
    ]) {
      expect(labelText([{ start, end, label: 'dog' }], space)).toBeNull();
    }
  });

  it('takes boxes inside the image', () => {
    const box = { x: 0.5, y: 0, width: 0.5, height: 1, label: 'cat' };
    expect(labelText([box], of('box'))).toBe('[{"height":1,"label":"cat","width":0.5,"x":0.5,"y":0}]');
    for (const bad of [{ x: 0.6 }, { width: 0 }, { height: NaN }, { y: -0.1 }, { label: 'zebra' }, { x: '0' }]) {
      expect(labelText([{ ...box, ...bad }], of('box'))).toBeNull();
    }
  });

  it('takes finite decimals and preferences', () => {
    for (const fine of ['1.5', '-2e3', '.5', 7]) expect(labelText(fine, of('number'))).toBe(String(fine));
    for (const none of ['NaN', 'Infinity', '1e999', '', '0x10']) expect(labelText(none, of('number'))).toBeNull();
    // an expression that tries again from every digit would take minutes
    expect(labelText(`${'1'.repeat(100_000)}x`, of('number'))).toBeNull();
    expect(labelText('1'.repeat(401), of('number'))).toBeNull();
    expect(labelText(`0.${'1'.repeat(398)}`, of('number'))).not.toBeNull();
    expect(labelText('left', of('preference'))).toBe('left');
    expect(labelText('cat', of('preference'))).toBeNull();
  });

  it('gives the text of a text again, and never throws', () => {
    fc.assert(
      fc.property(fc.constantFrom(...labelKinds), fc.jsonValue(), (kind, value) => {
        const text = labelText(value, of(kind, { classes: null }));
        if (text !== null) expect(labelText(text, of(kind, { classes: null }))).toBe(text);
      }),
    );
  });
});

it.each([
  ['single', 'maybe', 'found "maybe"; allowed: no, yes'],
  ['multiple', ['no', 'maybe'], '[1]: found "maybe"; allowed: no, yes'],
  [
    'span',
    [
      { start: 0, end: 9, label: 'no' },
      { start: 0, end: 900, label: 'no' },
    ],
    '[1].end 900 is past the text’s 12',
  ],
  ['span', [{ start: 5, end: 5, label: 'no' }], '[0].end 5 is not after start 5'],
  ['span', [{ start: 0, end: 5, label: 'on' }], '[0].label: found "on"; allowed: no, yes'],
  ['box', [{ x: 0.5, y: 0, width: 0.6, height: 1, label: 'no' }], '[0] reaches beyond the image'],
  ['box', [{ x: 0, y: 0, width: 12, height: 1, label: 'no' }], '[0].width 12 is no share of the image, 0 to 1'],
] as const)('says what is wrong with a %s: %j', (kind, value, words) => {
  expect(labelFault(value, { kind, classes: ['no', 'yes'], textLength: 12 })).toBe(words);
});

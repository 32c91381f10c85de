// The instructions of the three loops of kernel.ts: gradient and packed hessian of a row are one 128-bit addition.
import { type FunctionCode, moduleOf, op } from './assembler.js';

/** A hessian is multiplied by this, so that the count of rows fits below it. */
export const countShift = 2 ** 16;

const { get, set, tee, constant, add, load } = op;

/** Leaves whether `pointer`, moved on by four bytes, is still before `end`. */
const nextInt = (pointer: number, end: number) => [
  ...[...get(pointer), ...constant(4), ...add, ...tee(pointer)],
  ...[...get(end), ...op.less],
];
const moved = (pointer: number, bytes: number) => [...get(pointer), ...constant(bytes), ...add, ...set(pointer)];

/** Parameters: addresses of g and h, 0 or -1 to take one hessian or each row's, of the first row and behind the last, of the pairs. */
function gatherCode(): FunctionCode {
  const [g, h, mask, order, end, pairs, at] = [0, 1, 2, 3, 4, 5, 6] as const;
  const gradient = [...get(g), ...get(at), ...add, ...op.loadFloat];
  const hessian = [...get(h), ...get(at), ...get(mask), ...op.and, ...add, ...op.loadFloat];
  const body = op.loop(
    [...get(order), ...load(), ...constant(2), ...op.shiftLeft, ...set(at)],
    [...get(pairs), ...gradient, ...op.storeF64()],
    [
      ...get(pairs),
      ...hessian,
      ...op.f64(countShift),
      ...op.multiplyF64,
      ...op.f64(1),
      ...op.addF64,
      ...op.storeF64(8),
    ],
    moved(pairs, 16),
    nextInt(order, end),
  );
  return { name: 'gather', parameters: 6, locals: 1, body };
}

/** Parameters: addresses of the groups and behind them (all five are addresses there), of rows and behind them, of the pairs. */
function addCode(): FunctionCode {
  const [groups, groupsEnd, order, end, pairs] = [0, 1, 2, 3, 4] as const;
  const [words, at, pairAt, word, slot, feature0, pair] = [5, 6, 7, 8, 9, 10, 14] as const;
  const addTo = (feature: number) => {
    const shift = feature * 8 - 4;
    const place = [...get(word), ...constant(Math.abs(shift)), ...(shift < 0 ? op.shiftLeft : op.shiftRight)];
    return [
      ...[...get(feature0 + feature), ...place, ...constant(0xff0), ...op.and, ...add, ...tee(slot)],
      ...[...get(slot), ...op.loadPair, ...get(pair), ...op.addPair, ...op.storePair],
    ];
  };
  const rows = op.loop(
    [...get(words), ...get(at), ...load(), ...constant(2), ...op.shiftLeft, ...add, ...load(), ...set(word)],
    [...get(pairAt), ...op.loadPair, ...set(pair)],
    ...[0, 1, 2, 3].map(addTo),
    moved(pairAt, 16),
    nextInt(at, end),
  );
  const body = op.loop(
    ...[words, feature0, feature0 + 1, feature0 + 2, feature0 + 3].map((local, i) => [
      ...[...get(groups), ...load(i * 4), ...set(local)],
    ]),
    [...get(order), ...set(at), ...get(pairs), ...set(pairAt)],
    rows,
    [...get(groups), ...constant(20), ...add, ...tee(groups), ...get(groupsEnd), ...op.less],
  );
  return { name: 'add', parameters: 5, locals: 9, pair: true, body };
}

/** Parameters: addresses of rows and behind them, of the word of row 0, the shift, addresses of the left codes, the next left and right row. */
function splitCode(): FunctionCode {
  const [order, end, words, shift, left, lefts, rights, row, step] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
  const word = [...get(words), ...get(row), ...constant(2), ...op.shiftLeft, ...add, ...load()];
  const code = [...word, ...get(shift), ...op.shiftRight, ...constant(255), ...op.and];
  const body = op.loop(
    [...get(order), ...load(), ...set(row)],
    [...get(left), ...code, ...add, ...op.loadByte, ...constant(2), ...op.shiftLeft, ...set(step)],
    [...get(lefts), ...get(row), ...op.store, ...get(rights), ...get(row), ...op.store],
    [...get(lefts), ...get(step), ...add, ...set(lefts)],
    [...get(rights), ...constant(4), ...get(step), ...op.subtract, ...add, ...set(rights)],
    nextInt(order, end),
  );
  return { name: 'split', parameters: 7, locals: 2, result: true, body: [...body, ...get(lefts)] };
}

/** The module `gather`, `add` and `split` over an imported memory. */
export const moduleBytes = moduleOf([gatherCode(), addCode(), splitCode()]);

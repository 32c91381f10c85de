import { describe, expect, test } from 'vitest';
import type { FittedFeatures, TrainSpec } from '../../domain/model.js';
import { oneFileModel } from '../../ml/export/one-file.js';
import { tokenFacts } from '../../ml/features/columns.js';
import { featuriseReference } from '../../ml/features/reference.js';
import { resumeFrom } from '../../ml/trainers/checkpoint.js';
import { fit } from '../../ml/trainers/index.js';
import { createRandom } from '../../stats/prng.js';
import { fittedFeatures } from './fitted.js';
import { learn, learnt, stateFile, type Toy, trainSpec } from './spec.js';
import { runOnce } from './support.js';

/** Sentences of praise, complaint or neither, in Korean with its particles and in English. */
const kinds = {
  praise: ['정말 좋아요', '마음에 들었어요', '훌륭했습니다', 'loved it', 'works perfectly', 'great value'],
  complaint: ['정말 별로예요', '실망했어요', '고장났습니다', 'broke quickly', 'a waste of money', 'very disappointed'],
  question: ['언제 오나요', '어떻게 쓰나요', '얼마인가요', 'when does it ship', 'how do I use it', 'which size fits'],
};
const things = ['가방이', '신발은', '책을', '의자가', 'the bag', 'these shoes', 'a book', 'the chair', '🎁', '오늘'];
const classes = Object.keys(kinds);

function sentences(count: number, seed: number) {
  const random = createRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
  const rows = Array.from({ length: count }, (_, row) => {
    const label = row % classes.length;
    return { label, text: `${pick(things)} ${pick(things)} ${pick(Object.values(kinds)[label]!)} ${pick(things)}` };
  });
  return {
    text: rows.map(({ text }) => text),
    y: Float32Array.from(rows, ({ label }) => label),
    num: rows.map((_, i) => i % 7),
  };
}

const reading = {
  words: [1, 2] as [number, number],
  characters: [2, 3] as [number, number],
  ...{ lower: true, counts: 'log' as const },
  tokens: { length: 32, ids: 512 },
};
const features = (hashes: number, dense = true): FittedFeatures =>
  fittedFeatures({
    num: dense ? [{ impute: 0, mean: 3, scale: 0.5 }] : [],
    cat: [],
    text: [{ ...reading, hashes }],
    classes,
  });

function toyOf(fitted: FittedFeatures, { text, y, num }: ReturnType<typeof sentences>): Toy {
  const inputs = {
    rows: y.length,
    num: fitted.num.length > 0 ? Float32Array.from(num) : new Float32Array(0),
    cat: [],
    text,
  };
  return { x: featuriseReference(fitted, inputs), y };
}

function specOf(fitted: FittedFeatures, rows: number, given: Partial<TrainSpec> = {}): TrainSpec {
  const params = given.trainer === 'linear' ? { epochs: 8 } : { epochs: 8, dims: 16, ...given.params };
  const tokens = tokenFacts(fitted)!;
  return trainSpec({ trainer: 'text', rows, width: fitted.width, outputs: 3, tokens, ...given, params });
}

/** Share of the sentences that the served file names right, from raw text. */
async function accuracy(
  fitted: FittedFeatures,
  state: Uint8Array,
  spec: TrainSpec,
  asked: ReturnType<typeof sentences>,
) {
  const model = oneFileModel(fitted, state, spec);
  const rows = asked.y.length;
  const { label } = await runOnce(model, {
    ...(fitted.num.length > 0 && { num: { type: 'float32' as const, dims: [rows, 1], data: asked.num } }),
    text: { type: 'string', dims: [rows, 1], data: asked.text },
  });
  return (label!.data as string[]).filter((name, row) => name === classes[asked.y[row]!]).length / rows;
}

describe('the trainer text', () => {
  const train = sentences(600, 1);
  const holdout = sentences(300, 2);

  test.each([
    ['linear, beside a number', {}, true],
    ['with a hidden layer and dropout, text alone', { hidden: 16, dropout: 0.2 }, false],
  ])('tells Korean and English sentences apart from raw text: %s', async (_, params, dense) => {
    const fitted = features(0, dense);
    const spec = specOf(fitted, 600, { params });
    const state = await learnt(spec, toyOf(fitted, train));
    expect(await accuracy(fitted, state, spec, holdout)).toBeGreaterThan(0.97);
  });

  test('stopped anywhere and resumed: the same bytes', async () => {
    const fitted = features(0);
    const toy = toyOf(fitted, train);
    const spec = specOf(fitted, 600, { params: { epochs: 1, dropout: 0.3 } });
    const expected = await learnt(spec, toy);
    for (const stopAt of [1, 7]) {
      const first = await learn(spec, toy, { after: ({ step }) => Promise.resolve(step < stopAt) });
      expect(first.finished).toBe(false);
      const resume = resumeFrom(spec, stateFile(spec, first));
      expect(stateFile(spec, await learn({ ...spec, stepsPerRun: 5 }, toy, { resume }))).toEqual(expected);
    }
  });

  test('from rows that are read bit by bit, the same bytes after a stop in any shard', async () => {
    const long = { ...reading, words: null, hashes: 2_048, tokens: { length: 4, ids: 64 } };
    const fitted = fittedFeatures({ num: [], cat: [], text: [long], classes });
    const toy = toyOf(fitted, sentences(300, 3));
    // more rows than a buffer holds, without holding them here either
    const many = 17_000;
    const y = Float32Array.from({ length: many }, (_, row) => toy.y[row % 300]!);
    const spec = specOf(fitted, many, { params: { epochs: 1, batch: 1_000, dims: 2 } });
    let most = 0;
    const { width } = fitted;
    const read = (from: number, count: number, into: Float32Array) => {
      most = Math.max(most, count);
      for (let row = 0; row < count; row++) {
        const at = (from + row) % 300;
        into.set(toy.x.subarray(at * width, (at + 1) * width), row * width);
      }
      return Promise.resolve();
    };
    const rowsOf = () => ({ train: { rows: many, width, y, read }, validation: null });
    const expected = stateFile(spec, await fit(spec, rowsOf()));
    expect(most).toBeLessThan(many / 2);
    const first = await fit(spec, rowsOf(), {}, { after: ({ step }) => Promise.resolve(step < 9) });
    expect(first.finished).toBe(false);
    const resume = resumeFrom(spec, stateFile(spec, first));
    expect(stateFile(spec, await fit(spec, rowsOf(), { resume }))).toEqual(expected);
  });

  test('a trainer of numbers sees X without the ids, in training and in the file', async () => {
    const fitted = features(128);
    const spec = specOf(fitted, 600, { trainer: 'linear' });
    const state = await learnt(spec, toyOf(fitted, train));
    const { tokens: _, ...hashed } = reading;
    const bare = fittedFeatures({
      num: fitted.num,
      cat: [],
      text: [{ ...hashed, hashes: 128 }],
      classes,
    });
    const { tokens: __, ...without } = spec;
    expect(await learnt({ ...without, width: bare.width }, toyOf(bare, train))).toEqual(state);
    expect(await accuracy(fitted, state, spec, holdout)).toBeGreaterThan(0.9);
  });

  test('without a text column: FeaturesUnfit', async () => {
    const spec = trainSpec({ trainer: 'text', rows: 2, width: 1, outputs: 3 });
    const toy = { x: Float32Array.of(1, 2), y: Float32Array.of(0, 1) };
    await expect(learn(spec, toy)).rejects.toMatchObject({ failure: 'FeaturesUnfit' });
  });
});

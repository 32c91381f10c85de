// Label Studio's JSON (https://labelstud.io/guide/task_format and the pages of the tags): the golden files follow its
// documented fields and are written by hand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReadOptions, TakenTask } from '../../../domain/exchange/form.js';
import { labelStudioTask, readLabelStudio } from '../../../domain/exchange/label-studio.js';
import type { Json } from '../../../domain/json.js';
import { labelKinds, type LabelKind, labelText } from '../../../domain/label-kind.js';
import { at, mustRead, readOr, takenTasks } from './taken.support.js';

const golden = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8')) as Json[];
const options = (more: Partial<ReadOptions> = {}): ReadOptions => ({
  ...{ kind: null, classes: null, fallback: 'single', key: 'id' },
  ...more,
});

function back(tasks: Json, more: Partial<ReadOptions> = {}): Json {
  const brought = mustRead(readLabelStudio(options(more)), tasks);
  return takenTasks(brought).map((task) => labelStudioTask(brought, task));
}

/** As JSON knows it: -0 is 0. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;

describe('golden files', () => {
  it.each(['label-studio-boxes', 'label-studio-spans', 'label-studio-choices'])('%s comes back equal', (name) => {
    expect(back(golden(name))).toEqual(golden(name));
  });

  it('boxes are shares, people have names, skips, times, comments, ground truth', () => {
    const { kind, classes, tasks } = mustRead(readLabelStudio(options()), golden('label-studio-boxes'));
    expect([kind, classes]).toEqual(['box', ['Boat', 'Water']]);
    const [one, two, three] = tasks;
    expect(one).toMatchObject({ key: '41', gold: null, suggestion: { confidence: 0.81 } });
    expect(one!.answers.map(({ annotator, seconds, comment }) => [annotator, seconds, comment])).toEqual([
      ['ann@example.org', 42.288, 'The mast is cut off.'],
      ['label-studio/11', 3, null],
    ]);
    expect(one!.answers[1]!.label).toBeNull();
    expect(JSON.parse(one!.answers[0]!.label!)).toEqual(
      [
        { x: 0, y: 0.333333333333, width: 1, height: 0.666666666667, label: 'Water' },
        { x: 0.508, y: 0.058697972252, width: 0.124, height: 0.104589114194, label: 'Boat' },
      ].sort((a, b) => (JSON.stringify(a, Object.keys(a).sort()) < JSON.stringify(b, Object.keys(b).sort()) ? -1 : 1)),
    );
    expect(two).toMatchObject({ gold: '[]', answers: [{ annotator: 'label-studio/10' }] });
    expect(three).toMatchObject({ key: '43', answers: [], suggestion: null });
  });

  it('spans are in UTF-16 units; the key is that of the data', () => {
    const { tasks } = mustRead(readLabelStudio(options()), golden('label-studio-spans'));
    const { text } = tasks[0]!.item as { text: string };
    const spans = JSON.parse(tasks[0]!.answers[0]!.label!) as { start: number; end: number }[];
    expect(spans.map(({ start, end }) => text.slice(start, end)).sort()).toEqual(['Ada', 'Grace', 'Zürich']);
    expect(tasks[0]!.key).toBe('s-7');
  });
});

const word = fc.constantFrom('cat', 'dog', 'Tür', 'A b', '<script>');
const percent = fc.double({ min: 0, max: 50, noNaN: true });
const side = fc.double({ min: 0.001, max: 50, noNaN: true });
const named = (kind: LabelKind) => ({ from_name: fc.constant('q'), to_name: fc.constant(`to-${kind}`) });
const result = (kind: LabelKind, type: string, value: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({ id: fc.string(), type: fc.constant(type), ...named(kind), value: fc.record(value) });
const one = (kind: LabelKind, type: string, value: Record<string, fc.Arbitrary<unknown>>) =>
  fc.array(result(kind, type, value), { minLength: 0, maxLength: 1 });
const text = 'A text of fifty letters 😀, more or less, for spans.';

const resultsOf: Record<LabelKind, fc.Arbitrary<unknown[]>> = {
  single: one('single', 'choices', { choices: fc.tuple(word) }),
  multiple: one('multiple', 'choices', { choices: fc.array(word, { maxLength: 3 }) }),
  number: one('number', 'number', { number: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
  preference: one('preference', 'pairwise', { selected: fc.constantFrom('left', 'right') }),
  span: fc.array(
    result('span', 'labels', { start: fc.nat(20), end: fc.integer({ min: 21, max: 40 }), labels: fc.tuple(word) }),
    { maxLength: 3 },
  ),
  box: fc.array(
    result('box', 'rectanglelabels', {
      ...{
        x: percent,
        y: percent,
        width: side,
        height: side,
        rotation: fc.constant(0),
        rectanglelabels: fc.tuple(word),
      },
    }),
    { maxLength: 3 },
  ),
};

const annotation = (kind: LabelKind) =>
  fc.record(
    {
      id: fc.oneof(fc.nat(), fc.string()),
      completed_by: fc.oneof(fc.nat(), fc.record({ id: fc.nat(), email: fc.emailAddress() })),
      result: resultsOf[kind],
      was_cancelled: fc.boolean(),
      ground_truth: fc.boolean(),
      lead_time: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
      comments: fc.array(fc.record({ text: fc.string() }), { maxLength: 2 }),
      unknown: fc.jsonValue(),
    },
    { requiredKeys: ['result'] },
  );

const labelStudioFile = fc.constantFrom(...labelKinds).chain((kind) =>
  fc.tuple(
    fc.constant(kind),
    fc.uniqueArray(
      fc.record(
        {
          id: fc.oneof(fc.nat(), fc.uuid()),
          data: fc.record({ text: fc.constant(text), more: fc.jsonValue() }, { requiredKeys: ['text'] }),
          meta: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
          annotations: fc.array(annotation(kind), { maxLength: 3 }),
          predictions: fc.array(
            fc.record(
              {
                model_version: fc.string(),
                score: fc.double({ min: 0, max: 1, noNaN: true }),
                result: resultsOf[kind],
              },
              { requiredKeys: ['result'] },
            ),
            { maxLength: 2 },
          ),
          inner_id: fc.nat(),
        },
        { requiredKeys: ['id', 'data'] },
      ),
      { minLength: 1, maxLength: 5, selector: ({ id }) => String(id) },
    ),
  ),
);

/** Labels of tasks of our own, by kind; shares have twelve decimals. */
const share = fc.integer({ min: 0, max: 4.9e11 }).map((n) => n / 1e12);
const ownLabels: Record<LabelKind, fc.Arbitrary<unknown>> = {
  single: word,
  multiple: fc.array(word, { maxLength: 3 }),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  preference: fc.constantFrom('left', 'right', 'tie'),
  span: fc.array(fc.record({ start: fc.nat(20), end: fc.integer({ min: 21, max: 40 }), label: word }), {
    maxLength: 3,
  }),
  box: fc.array(
    fc.record({
      x: share,
      y: share,
      width: share.map((s) => s + 1e-3),
      height: share.map((s) => s + 1e-3),
      label: word,
    }),
    { maxLength: 3 },
  ),
};

const ownTask = (kind: LabelKind): fc.Arbitrary<Omit<TakenTask, 'taskId' | 'position' | 'key'>> => {
  const label = ownLabels[kind].map((value) => {
    const rounded = kind === 'box' ? (value as { width: number; height: number }[]).map(twelve) : value;
    return labelText(rounded, { kind, classes: null })!;
  });
  return fc.record({
    item: fc.constant({ text }),
    ...{ status: fc.constant('open' as const), gold: fc.option(label), label: fc.constant(null) },
    ...{ confidence: fc.constant(null), reason: fc.constant('named' as const), review: fc.constant(null) },
    suggestion: fc.option(fc.record({ label, confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })) })),
    ...{ reviewer: fc.constant(null), reviews: fc.constant([]), source: fc.constant(null) },
    answers: fc.array(
      fc.record({
        ...{ id: fc.uuid(), annotator: fc.emailAddress(), label: fc.option(label), at: fc.constant(at) },
        ...{ outcome: fc.constant('accepted' as const), past: fc.constant(false), source: fc.constant(null) },
        seconds: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
        comment: fc.option(fc.string({ minLength: 1 })),
      }),
      { maxLength: 3 },
    ),
  });
};
const twelve = <T extends { width: number; height: number }>(box: T): T => ({
  ...box,
  width: Number(box.width.toFixed(12)),
  height: Number(box.height.toFixed(12)),
});

describe('round trips', () => {
  it('what Label Studio exported comes out equal', () => {
    fc.assert(
      fc.property(labelStudioFile, ([kind, tasks]) => {
        const sent = plain(tasks);
        expect(plain(back(sent, { kind }))).toEqual(sent);
      }),
      { numRuns: 200 },
    );
  });

  it('what was labelled here comes back from Label Studio’s form', () => {
    const ours = fc
      .constantFrom(...labelKinds)
      .chain((kind) => fc.tuple(fc.constant(kind), fc.array(ownTask(kind), { minLength: 1, maxLength: 4 })));
    fc.assert(
      fc.property(ours, ([kind, made]) => {
        const tasks = made.map((task, position): TakenTask => ({
          ...{ ...task, taskId: `task_${position}`, position, key: `k${position}` },
        }));
        const batch = { kind, classes: null, origin: null };
        const file = plain(tasks.map((task) => labelStudioTask(batch, task)));
        const brought = mustRead(readLabelStudio(options({ kind })), file);
        expect(plain(brought.tasks.map(said))).toEqual(plain(tasks.map(said)));
      }),
      { numRuns: 200 },
    );
  });
});

function said({
  key,
  item,
  suggestion,
  gold,
  answers,
}: Pick<TakenTask, 'key' | 'item' | 'suggestion' | 'gold'> & {
  answers: Pick<TakenTask['answers'][number], 'annotator' | 'label' | 'seconds' | 'comment'>[];
}) {
  const told = answers.map(({ annotator, label, seconds, comment }) => ({ annotator, label, seconds, comment }));
  return { key, item, suggestion, gold, answers: told };
}

it('what happened here is told: new annotations after the old ones, and what it comes to', () => {
  const brought = mustRead(readLabelStudio(options()), golden('label-studio-choices'));
  const task = takenTasks(brought)[2]!;
  const answer = { id: 'ann_x', annotator: 'lee', label: 'Positive', seconds: 4, comment: 'hm', source: null };
  const given = { ...answer, outcome: 'accepted' as const, past: false, at };
  const made = labelStudioTask(brought, {
    ...task,
    status: 'labelled',
    label: 'Positive',
    confidence: 0.8,
    answers: [given],
  });
  expect(made).toMatchObject({
    ...{ id: 3, data: { text: 'It is a chair.' }, predictions: [] },
    annotations: [
      {
        ...{ id: 'ann_x', completed_by: { email: 'lee' }, was_cancelled: false, lead_time: 4 },
        result: [{ type: 'choices', from_name: 'sentiment', to_name: 'text', value: { choices: ['Positive'] } }],
        comments: [{ text: 'hm' }],
      },
    ],
    perennial: { key: '3', status: 'labelled', label: 'Positive', confidence: 0.8 },
  });
});

describe('faults', () => {
  const value = { x: 10, y: 10, width: 10, height: 10, rotation: 0, rectanglelabels: ['Boat'] };
  const task = (results: unknown[], more: object = {}) => ({
    ...{ id: 1, data: { text: 'short' }, annotations: [{ result: results }] },
    ...more,
  });
  const box = (change: object, more: object = {}) => ({
    ...{ type: 'rectanglelabels', from_name: 'tag', to_name: 'img', value: { ...value, ...change } },
    ...more,
  });
  const pathsOf = (tasks: unknown, more: Partial<ReadOptions> = { kind: 'box' }) =>
    readOr(readLabelStudio(options(more)), tasks).faults.map(({ path }) => path);

  it('each has its path', () => {
    const first = '[0].annotations[0].result[0]';
    expect(pathsOf({})).toEqual(['']);
    expect(pathsOf([7, { id: 1 }, { data: {} }])).toEqual(['[0]', '[1].data', '[2].id']);
    expect(pathsOf([task([box({ rotation: 12 })])])).toEqual([`${first}.value.rotation`]);
    expect(pathsOf([task([box({}, { image_rotation: 90 })])])).toEqual([`${first}.image_rotation`]);
    expect(pathsOf([task([box({ x: 95 })])])).toEqual([`${first}.value`]);
    expect(pathsOf([task([box({}, { type: 'polygonlabels' })])])).toEqual([`${first}.type`]);
    expect(pathsOf([task([box({}), box({}, { from_name: 'other' })])])).toEqual([
      '[0].annotations[0].result[1].from_name',
    ]);
    expect(pathsOf([task([box({ rectanglelabels: ['Boat', 'Ship'] })])])).toEqual([`${first}.value.rectanglelabels`]);
    expect(pathsOf([task([box({})])], { kind: 'box', classes: ['Ship'] })).toEqual([
      `${first}.value.rectanglelabels[0]`,
    ]);
    expect(pathsOf([task([], { annotations: [{}], predictions: 'none' })])).toEqual([
      '[0].annotations[0].result',
      '[0].predictions',
    ]);
    const span = { type: 'labels', from_name: 'n', to_name: 't', value: { start: 2, end: 6, labels: ['PER'] } };
    expect(pathsOf([task([span])], {})).toEqual([`${first}.value`]);
    const number = { type: 'number', from_name: 'n', to_name: 't', value: { number: 'many' } };
    expect(pathsOf([task([number])], {})).toEqual([`${first}.value`]);
    const choice = { type: 'choices', from_name: 'n', to_name: 't', value: { choices: ['a'] } };
    expect(pathsOf([task([choice, choice])], {})).toEqual(['[0].annotations[0].result[1]']);
  });

  it('never throws on any JSON', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.jsonValue(),
            fc.record({
              id: fc.jsonValue(),
              data: fc.object(),
              annotations: fc.jsonValue(),
              predictions: fc.array(
                fc.record({
                  result: fc.array(fc.record({ type: fc.constantFrom('choices', 'labels'), value: fc.jsonValue() })),
                }),
              ),
            }),
          ),
        ),
        (tasks) => {
          readOr(readLabelStudio(options()), plain(tasks));
        },
      ),
      { numRuns: 200 },
    );
  });
});

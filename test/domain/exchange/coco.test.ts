// COCO's detection format (https://cocodataset.org/#format-data): the golden file follows its fields and is written by hand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cocoAnnotations, cocoBatch, cocoImage, type CocoOptions, readCoco } from '../../../domain/exchange/coco.js';
import type { Brought, TakenTask } from '../../../domain/exchange/form.js';
import type { Json } from '../../../domain/json.js';
import { mustRead, readOr, takenTasks } from './taken.support.js';

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'coco.json'), 'utf8')) as { [name: string]: Json[] };
const options = (annotator: string | null = 'ann', more: Partial<CocoOptions> = {}): CocoOptions => ({
  ...{ kind: null, classes: null, fallback: 'single', key: 'file_name', annotator },
  ...more,
});

const accepted = (task: TakenTask): TakenTask => ({
  ...task,
  status: 'labelled',
  label: task.answers[0]?.label ?? null,
});

function written(brought: Brought, tasks: TakenTask[]) {
  const batch = cocoBatch(brought);
  const images = tasks.map((task) => cocoImage(batch, task));
  return { ...batch.head, images, annotations: tasks.flatMap((task) => cocoAnnotations(batch, task)) };
}

const byId = (one: Json, two: Json) => (one as { id: number }).id - (two as { id: number }).id;

it('what was brought as labels comes out equal', () => {
  const brought = mustRead(readCoco(options()), golden);
  expect(brought).toMatchObject({ kind: 'box', classes: ['person', 'dog'] });
  expect(brought.tasks.map(({ key }) => key)).toEqual(['street/1.jpg', 'street/2.jpg', 'street/3.jpg']);
  expect(written(brought, takenTasks(brought).map(accepted))).toEqual(golden);
  expect(JSON.parse(brought.tasks[2]!.answers[0]!.label!)).toEqual([]);
});

it('suggestions are no labels; a new box gets a new id, in pixels', () => {
  const brought = mustRead(readCoco(options(null)), golden);
  expect(brought.tasks.map(({ answers, suggestion }) => [answers.length, suggestion === null])).toEqual([
    ...[
      [0, false],
      [0, false],
      [0, true],
    ],
  ]);
  const tasks = takenTasks(brought);
  expect(written(brought, tasks).annotations).toEqual([]);
  const label = '[{"height":0.1,"label":"dog","width":0.25,"x":0.5,"y":0.5}]';
  const made = written(brought, [{ ...tasks[2]!, status: 'labelled', label }]);
  expect(made.annotations).toEqual([
    {
      ...{ id: 1769, image_id: 206, category_id: 18, bbox: [400, 300, 200, 60], area: 12_000, iscrowd: 0 },
      segmentation: [],
    },
  ]);
});

it('classes that the file lacks get categories of their own', () => {
  const brought = mustRead(readCoco(options(null, { classes: ['dog', 'person', 'kite'] })), golden);
  const label = '[{"height":0.1,"label":"kite","width":0.25,"x":0.5,"y":0.5}]';
  const made = written(brought, [{ ...takenTasks(brought)[0]!, status: 'labelled', label }]);
  expect(cocoBatch(brought).head['categories']).toEqual([...golden['categories']!, { id: 19, name: 'kite' }]);
  expect(made.annotations).toMatchObject([{ category_id: 19 }]);
});

it('any boxes inside any images come out equal', () => {
  const pixels = (most: number) => fc.integer({ min: 1, max: most * 100 }).map((n) => n / 100);
  const image = fc.integer({ min: 2, max: 8_000 }).chain((width) =>
    fc.record({
      ...{ width: fc.constant(width), height: fc.constant(width + 1) },
      boxes: fc.uniqueArray(
        fc.tuple(pixels(width / 2), pixels(width / 2), pixels(width / 2), pixels(width / 2), fc.nat(2)),
        { maxLength: 4, selector: String },
      ),
    }),
  );
  fc.assert(
    fc.property(fc.array(image, { minLength: 1, maxLength: 4 }), (images) => {
      let id = 0;
      const file = {
        categories: ['a', 'b', 'c'].map((name, place) => ({ id: place, name })),
        images: images.map(({ width, height }, place) => ({ id: place, width, height })),
        annotations: images.flatMap(({ boxes }, place) =>
          boxes.map(([x, y, w, h, category]) => ({
            id: (id += 1),
            image_id: place,
            category_id: category,
            bbox: [x, y, w, h],
          })),
        ),
      };
      const brought = mustRead(readCoco(options()), file);
      const made = written(brought, takenTasks(brought).map(accepted));
      expect({ ...made, annotations: made.annotations.sort(byId) }).toEqual(file);
      // and where nothing of the file was kept: to a hundredth of a pixel
      const anew = written({ ...brought, origin: null }, takenTasks(brought).map(accepted)).annotations;
      const sorted = (all: unknown[]) => all.map((one) => JSON.stringify((one as { bbox: unknown }).bbox)).sort();
      expect(sorted(anew)).toEqual(sorted(file.annotations));
    }),
    { numRuns: 100 },
  );
});

it('each fault has its path', () => {
  const image = { id: 1, width: 10, height: 10, file_name: 'a' };
  const category = { id: 1, name: 'dog' };
  const annotation = { id: 1, image_id: 1, category_id: 1, bbox: [1, 1, 2, 2] };
  const pathsOf = (file: unknown, more: Partial<CocoOptions> = {}) =>
    readOr(readCoco(options('ann', more)), file).faults.map(({ path }) => path);
  const file = (images: unknown, annotations: unknown, categories: unknown = [category]) => ({
    images,
    annotations,
    categories,
  });
  expect(pathsOf([])).toEqual(['']);
  expect(pathsOf({})).toEqual(['categories', 'images']);
  expect(pathsOf(file([image, image], []))).toEqual(['images[1].id']);
  expect(pathsOf(file([{ ...image, width: 0 }], []))).toEqual(['images[0].width']);
  expect(pathsOf(file([image], [annotation, annotation]))).toEqual(['annotations[1].id']);
  expect(pathsOf(file([image], [{ ...annotation, category_id: 7 }]))).toEqual(['annotations[0].category_id']);
  expect(pathsOf(file([image], [{ ...annotation, image_id: 7 }]))).toEqual(['annotations[0].image_id']);
  expect(pathsOf(file([image], [{ ...annotation, bbox: [8, 8, 5, 5] }]))).toEqual(['annotations[0].bbox']);
  expect(pathsOf(file([image], [{ ...annotation, bbox: undefined }]))).toEqual(['annotations[0].bbox']);
  expect(pathsOf(file([image], [], [category, { id: 2, name: 'dog' }]))).toEqual(['categories[1].name']);
  expect(pathsOf(file([image], [annotation]), { classes: ['cat'] })).toEqual(['categories[0].name']);
  expect(pathsOf(file([image], [annotation]), { kind: 'span' })).toEqual(['kind']);
});

// COCO's object detection format (docs/labeling.md): boxes in pixels of images whose sizes are known.
import type { FieldFault } from '../failures.js';
import { addFault, described, isRecord, type Read } from '../fields.js';
import type { Json } from '../json.js';
import { type Box, labelParts, type LabelSpace, labelText } from '../label-kind.js';
import {
  type Brought,
  type BroughtTask,
  isJsonRecord,
  isTouched,
  type JsonRecord,
  keyOf,
  mostImportedTasks,
  originOf,
  type ReadOptions,
  resultOf,
  rounded,
  shareDecimals,
  type TakenBatch,
  type TakenTask,
} from './form.js';

/** Decimals of a pixel that survive a round trip, in images of up to a million pixels a side. */
const pixelDecimals = 6;

export interface CocoOptions extends ReadOptions {
  /** Who gave the boxes as answers; null: they are suggestions. */
  annotator: string | null;
}

/** A COCO file; every fault with its path. */
export function readCoco(options: CocoOptions): Read<Brought> {
  return (value, path, faults) => {
    if (!isJsonRecord(value)) {
      return addFault(faults, path, {
        found: described(value),
        allowed: 'an object with images, annotations, categories',
      });
    }
    if (options.kind !== null && options.kind !== 'box') {
      addFault(faults, 'kind', { found: options.kind, allowed: 'box, which is what a COCO file holds' });
    }
    const { images, annotations, categories, ...rest } = value;
    const names = readCategories(categories, { path: `${path}categories`, faults }, options.classes);
    const boxes = readAnnotations(annotations, { path: `${path}annotations`, faults }, names);
    const tasks = readImages(images, { path: `${path}images`, faults }, { ...options, names, boxes });
    for (const [image, [first]] of boxes) {
      if (first) addFault(faults, `${first.path}.image_id`, { found: described(image), allowed: 'the id of an image' });
    }
    const classes = options.classes ?? [...names.values()];
    const ids = [...listOf(annotations)].map((one) => (isRecord(one) ? Number(one['id']) : NaN));
    const nextId = ids.reduce((most, id) => (Number.isSafeInteger(id) ? Math.max(most, id) : most), 0) + 1;
    const origin = { form: 'coco', categories: categories ?? [], rest, nextId };
    return { kind: 'box', classes, tasks, origin };
  };
}

type Id = string | number;
interface Place {
  path: string;
  faults: FieldFault[];
}
interface PlacedBox {
  path: string;
  annotation: JsonRecord;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Items of a list with an id of their own; faults for the others. */
function withIds(list: unknown, { path, faults }: Place, most: number): { id: Id; item: JsonRecord; path: string }[] {
  if (!Array.isArray(list) || list.length > most) {
    return addFault(faults, path, { found: described(list), allowed: `a list of at most ${most}` }) ?? [];
  }
  const seen = new Map<Id, number>();
  return list.flatMap((item: unknown, index) => {
    const at = `${path}[${index}]`;
    if (!isJsonRecord(item)) return addFault(faults, at, { found: described(item), allowed: 'an object' }) ?? [];
    const { id } = item;
    if (typeof id !== 'number' && typeof id !== 'string') {
      return addFault(faults, `${at}.id`, { found: described(id), allowed: 'a number or a text' }) ?? [];
    }
    const before = seen.get(id);
    if (before !== undefined) {
      const found = `${described(id)} again, as in ${path}[${before}]`;
      return addFault(faults, `${at}.id`, { found, allowed: 'each once' }) ?? [];
    }
    seen.set(id, index);
    return [{ id, item, path: at }];
  });
}

function readCategories(list: unknown, place: Place, classes: string[] | null): Map<Id, string> {
  const names = new Map<Id, string>();
  const told = new Set<string>();
  for (const { id, item, path } of withIds(list, place, 10_000)) {
    const space: LabelSpace = { kind: 'single', classes };
    const name = labelText(item['name'], space);
    const twice = name !== null && told.has(name);
    if (name === null || twice) {
      const allowed = twice ? 'each once' : (classes?.join(', ') ?? 'the name of a class');
      addFault(place.faults, `${path}.name`, { found: `${described(item['name'])}${twice ? ' again' : ''}`, allowed });
    }
    names.set(id, name ?? '');
    if (name !== null) told.add(name);
  }
  return names;
}

/** Annotations by the image that they are of. */
function readAnnotations(list: unknown, place: Place, names: Map<Id, string>): Map<Id, PlacedBox[]> {
  const boxes = new Map<Id, PlacedBox[]>();
  for (const { item, path } of withIds(list ?? [], place, 10_000_000)) {
    const image = item['image_id'] as Id;
    if (!names.has(item['category_id'] as Id)) {
      const allowed = 'the id of a category';
      addFault(place.faults, `${path}.category_id`, { found: described(item['category_id']), allowed });
    }
    const own = boxes.get(image) ?? [];
    own.push({ path, annotation: item });
    boxes.set(image, own);
  }
  return boxes;
}

interface ImageOptions extends CocoOptions {
  names: Map<Id, string>;
  /** Those of an image are taken out. */
  boxes: Map<Id, PlacedBox[]>;
}

function readImages(list: unknown, place: Place, options: ImageOptions): BroughtTask[] {
  return withIds(list, place, mostImportedTasks).flatMap(({ id, item, path }) => {
    const own = options.boxes.get(id) ?? [];
    options.boxes.delete(id);
    for (const side of ['width', 'height']) {
      const pixels = item[side];
      if (typeof pixels === 'number' && pixels > 0) continue;
      return addFault(place.faults, `${path}.${side}`, { found: described(pixels), allowed: 'its pixels, > 0' }) ?? [];
    }
    const boxes = own.flatMap(({ annotation, path: at }) => {
      const box = boxOf(annotation, item, options.names);
      if (labelText([box], { kind: 'box', classes: null }) !== null) return [box];
      const allowed = '[x, y, width, height] in pixels, inside the image, with an area';
      return (
        addFault(place.faults, `${at}.bbox`, { found: JSON.stringify(annotation['bbox']) ?? 'nothing', allowed }) ?? []
      );
    });
    return [taskOf({ id, item, boxes, own }, options)];
  });
}

interface ReadImage {
  id: Id;
  item: JsonRecord;
  boxes: Box[];
  own: PlacedBox[];
}

function taskOf({ id, item, boxes, own }: ReadImage, { annotator, key }: CocoOptions): BroughtTask {
  const label = labelText(boxes, { kind: 'box', classes: null });
  const scores = own.map(({ annotation }) => annotation['score']);
  const sure =
    scores.length > 0 && scores.every((one): one is number => typeof one === 'number' && one >= 0 && one <= 1);
  const guess = annotator === null && label !== null && boxes.length > 0;
  return {
    ...{ key: keyOf(item, key, id) ?? String(id), item, gold: null },
    suggestion: guess ? { label, confidence: sure ? Math.min(...scores) : null } : null,
    answers: annotator === null ? [] : [{ annotator, label, seconds: null, comment: null, at: null, source: {} }],
    source: { annotations: own.map(({ annotation }) => annotation) },
  };
}

/** A box in shares; not a number where the annotation has none. */
function boxOf({ bbox, category_id: category }: JsonRecord, image: JsonRecord, names: ReadonlyMap<Id, string>): Box {
  const [x, y, width, height] = Array.isArray(bbox) && bbox.length === 4 ? (bbox as unknown[]) : [];
  const share = (pixels: unknown, of: Json | undefined) =>
    typeof pixels === 'number' ? rounded(pixels / Number(of), shareDecimals) : NaN;
  return {
    ...{ x: share(x, image['width']), y: share(y, image['height']) },
    ...{ width: share(width, image['width']), height: share(height, image['height']) },
    // a category that nobody knows was told already
    label: names.get(category as Id) || '?',
  };
}

interface CocoBatch {
  /** Of what is not an image or an annotation. */
  head: JsonRecord;
  /** By class. */
  ids: Map<string, Id>;
  names: Map<Id, string>;
  origin: JsonRecord | null;
  nextId: number;
}

/** What is written around the images: ids of classes and of new annotations, in their order. */
export function cocoBatch(batch: TakenBatch): CocoBatch {
  const origin = originOf('coco', batch);
  const brought = origin === null ? [] : (origin['categories'] as Json[]);
  const names = new Map<Id, string>();
  for (const one of brought) {
    if (isRecord(one)) names.set(one['id'] as Id, String(one['name']).normalize('NFC'));
  }
  // classes that people may choose and that the file did not have
  const told = new Set(names.values());
  const free =
    [...names.keys()].reduce<number>((most, id) => (typeof id === 'number' ? Math.max(most, id) : most), 0) + 1;
  const more = (batch.classes ?? [])
    .filter((name) => !told.has(name))
    .map((name, index) => ({ id: free + index, name }));
  for (const { id, name } of more) names.set(id, name);
  const ids = new Map([...names].map(([id, name]) => [name, id]));
  const head = { ...(origin === null ? {} : (origin['rest'] as JsonRecord)), categories: [...brought, ...more] };
  return { head, ids, names, origin, nextId: origin === null ? 1 : Number(origin['nextId']) };
}

/** An image with what was made of it; as it came where nothing happened. */
export function cocoImage({ origin }: CocoBatch, task: TakenTask): JsonRecord {
  const item = isJsonRecord(task.item) ? task.item : {};
  const named = origin === null ? { file_name: item['file_name'] ?? item['image'] ?? task.key } : {};
  const id = origin === null ? { id: task.position + 1 } : {};
  return { ...item, ...named, ...id, ...(isTouched(task, origin) ? { perennial: resultOf('box', task) } : {}) };
}

/** The boxes that are the task's label, those of the file as they came; raises `nextId` by the new ones. */
export function cocoAnnotations(batch: CocoBatch, task: TakenTask): JsonRecord[] {
  const label = task.gold ?? task.label;
  if (label === null || !isJsonRecord(task.item)) return [];
  const { item } = task;
  const left = new Map(labelParts<Box>(label).map((box) => [textOf(box), box]));
  const brought = batch.origin === null ? [] : listOf(isRecord(task.source) ? task.source['annotations'] : []);
  const texts = brought.map((one) => (isJsonRecord(one) ? textOf(boxOf(one, item, batch.names)) : ''));
  const kept = brought.filter((_, index) => left.has(texts[index] ?? '')) as JsonRecord[];
  for (const text of texts) left.delete(text);
  const imageId = batch.origin === null ? task.position + 1 : (item['id'] as Json);
  return [...kept, ...[...left.values()].map((box) => annotationOf(batch, box, { item, imageId }))];
}

function textOf(box: Box): string {
  return labelText([box], { kind: 'box', classes: null }) ?? '';
}

function annotationOf(batch: CocoBatch, box: Box, { item, imageId }: { item: JsonRecord; imageId: Json }): JsonRecord {
  const pixels = (share: number, side: string) => rounded(share * Number(item[side]), pixelDecimals);
  const bbox = [
    pixels(box.x, 'width'),
    pixels(box.y, 'height'),
    pixels(box.width, 'width'),
    pixels(box.height, 'height'),
  ];
  const id = batch.nextId;
  batch.nextId += 1;
  return {
    ...{ id, image_id: imageId, category_id: batch.ids.get(box.label) ?? null, bbox, iscrowd: 0, segmentation: [] },
    area: rounded(bbox[2]! * bbox[3]!, pixelDecimals),
  };
}

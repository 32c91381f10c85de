// Results of Label Studio (docs/labeling.md) and our labels: one control, whose type says the kind.
import type { FieldFault } from '../failures.js';
import { addFault, described, isRecord } from '../fields.js';
import type { Json } from '../json.js';
import { type Box, type LabelKind, type LabelSpace, labelParts, labelText, type Span } from '../label-kind.js';
import { type JsonRecord, readLabel, rounded, shareDecimals } from './form.js';

/** The type of a result, and where its value stands. */
export const resultTypes: Record<LabelKind, string> = {
  single: 'choices',
  multiple: 'choices',
  span: 'labels',
  box: 'rectanglelabels',
  number: 'number',
  preference: 'pairwise',
};

/** Which question of the labeling configuration was answered. */
export interface Control {
  from_name: string;
  to_name: Json;
}

const percentDecimals = shareDecimals - 2;

interface Place {
  space: LabelSpace;
  /** Null: no result was seen yet. */
  control: Control | null;
  path: string;
  faults: FieldFault[];
}

/** The label of a list of results; null: nothing was answered, or a fault was found. */
export function labelOfResults(results: readonly unknown[], place: Place): string | null {
  const { space, path, faults } = place;
  const before = faults.length;
  const values = results.map((result, index) => readResult(result, { ...place, path: `${path}[${index}]` }));
  if (faults.length > before) return null;
  const { kind } = space;
  if (kind === 'multiple' || kind === 'span' || kind === 'box') {
    return readLabel(values.flat(), { space, path, faults });
  }
  if (values.length > 1) {
    addFault(faults, `${path}[1]`, { found: 'a second answer', allowed: `one, for labels of kind ${kind}` });
  }
  return values.length === 1 ? readLabel(values[0], { space, path: `${path}[0].value`, faults }) : null;
}

/** One result as a value of our kind: a list of parts where the kind has some. */
function readResult(result: unknown, { space, control, path, faults }: Place): unknown {
  if (!isRecord(result)) return addFault(faults, path, { found: described(result), allowed: 'an object' });
  const type = resultTypes[space.kind];
  if (result['type'] !== type) {
    return addFault(faults, `${path}.type`, { found: described(result['type']), allowed: `"${type}"` });
  }
  if (control !== null && result['from_name'] !== control.from_name) {
    const found = `${described(result['from_name'])}, another question`;
    return addFault(faults, `${path}.from_name`, { found, allowed: `"${control.from_name}"` });
  }
  const value = result['value'];
  if (!isRecord(value)) return addFault(faults, `${path}.value`, { found: described(value), allowed: 'an object' });
  if (isTurned(result['image_rotation']) || isTurned(value['rotation'])) {
    const field = isTurned(value['rotation']) ? 'value.rotation' : 'image_rotation';
    const found = described(isTurned(value['rotation']) ? value['rotation'] : result['image_rotation']);
    return addFault(faults, `${path}.${field}`, { found, allowed: '0: boxes here are not turned' });
  }
  return valueOf(value, { space, path: `${path}.value`, faults });
}

function isTurned(rotation: unknown): boolean {
  return rotation !== undefined && rotation !== null && rotation !== 0;
}

function valueOf(value: Record<string, unknown>, place: Omit<Place, 'control'>): unknown {
  const { space, path, faults } = place;
  switch (space.kind) {
    case 'number':
      return value['number'];
    case 'preference':
      return value['selected'];
    case 'single':
      return oneName(value['choices'], { space, path: `${path}.choices`, faults });
    case 'multiple': {
      const { choices } = value;
      if (!Array.isArray(choices)) {
        return addFault(faults, `${path}.choices`, { found: described(choices), allowed: 'a list of classes' });
      }
      choices.forEach((choice, i) => checkName(choice, { space, path: `${path}.choices[${i}]`, faults }));
      return choices;
    }
    case 'span': {
      const label = oneName(value['labels'], { space, path: `${path}.labels`, faults });
      const span = { start: value['start'], end: value['end'], label };
      return part(span, label, place);
    }
    case 'box': {
      const label = oneName(value['rectanglelabels'], { space, path: `${path}.rectanglelabels`, faults });
      return part({ ...sharesOf(value), label }, label, place);
    }
  }
}

function sharesOf(value: Record<string, unknown>): Record<string, unknown> {
  const share = (name: string) => {
    const percent = value[name];
    return typeof percent === 'number' && Number.isFinite(percent) ? rounded(percent / 100, shareDecimals) : percent;
  };
  return { x: share('x'), y: share('y'), width: share('width'), height: share('height') };
}

/** A part whose name is known, as a list; a fault where it lies outside. */
function part(value: object, label: unknown, { space, path, faults }: Omit<Place, 'control'>): unknown {
  if (label === undefined) return undefined;
  if (labelText([value], space) !== null) return [value];
  const allowed =
    space.kind === 'span' ? 'start < end, both inside the text' : 'percent of the image, inside it, with an area';
  return addFault(faults, path, { found: JSON.stringify(value), allowed });
}

function oneName(value: unknown, place: Omit<Place, 'control'>): string | undefined {
  const { path, faults } = place;
  if (!Array.isArray(value) || value.length !== 1) {
    return addFault(faults, path, { found: described(value), allowed: 'a list of one class' });
  }
  return checkName(value[0], { ...place, path: `${path}[0]` }) ? (value[0] as string) : undefined;
}

function checkName(value: unknown, { space, path, faults }: Omit<Place, 'control'>): boolean {
  return readLabel(value, { space: { kind: 'single', classes: space.classes }, path, faults }) !== null;
}

/** How a label is written as results; `id` names them. */
export interface Written {
  kind: LabelKind;
  control: Control;
  item: Json;
  id: string;
}

/** The results that stand for a label. */
export function resultsOfLabel(label: string, written: Written): Json[] {
  const { kind, control, id } = written;
  return valuesOf(label, written).map((value, index) => ({
    ...{ id: `${id}-${index}`, type: resultTypes[kind], from_name: control.from_name, to_name: control.to_name },
    ...(kind === 'box' ? sizeOf(written.item) : {}),
    value,
  }));
}

function valuesOf(label: string, { kind, item }: Written): JsonRecord[] {
  switch (kind) {
    case 'single':
      return [{ choices: [label] }];
    case 'multiple':
      return [{ choices: labelParts<string>(label) }];
    case 'number':
      return [{ number: Number(label) }];
    case 'preference':
      return [{ selected: label }];
    case 'span':
      return labelParts<Span>(label).map(({ start, end, label: name }) => {
        const text = isRecord(item) && typeof item['text'] === 'string' ? { text: item['text'].slice(start, end) } : {};
        return { start, end, ...text, labels: [name] };
      });
    case 'box':
      return labelParts<Box>(label).map(({ x, y, width, height, label: name }) => {
        const [left, top, wide, high] = [x, y, width, height].map((share) => rounded(share * 100, percentDecimals));
        return { x: left!, y: top!, width: wide!, height: high!, rotation: 0, rectanglelabels: [name] };
      });
  }
}

function sizeOf(item: Json): JsonRecord {
  const { width, height } = isRecord(item) ? item : {};
  if (typeof width !== 'number' || typeof height !== 'number') return {};
  return { original_width: width, original_height: height, image_rotation: 0 };
}

// An ONNX file that somebody else wrote: what it takes and gives, read without loading it, and its graph under other names.
// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
import { Message, readFields } from './wire.js';

export interface ForeignValue {
  name: string;
  /** TensorProto.DataType; null for a sequence, a map or an optional. */
  type: number | null;
  /** A size, a name, or null for one that is not declared; null when the rank is not declared. */
  dims: (number | string | null)[] | null;
}

export interface ForeignModel {
  irVersion: number;
  /** Domain ('' is the default one) to version. */
  opsets: Map<string, number>;
  /** Without those that have a value of their own. */
  inputs: ForeignValue[];
  outputs: ForeignValue[];
  graph: Uint8Array;
  /** FunctionProto of the file's own functions. */
  functions: Uint8Array[];
}

const typeNames: Record<number, string> = {
  ...{ 1: 'float', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 8: 'string' },
  ...{ 9: 'bool', 10: 'float16', 11: 'double', 12: 'uint32', 13: 'uint64', 16: 'bfloat16' },
};

/** `float [N, 3]`, for messages. */
export function describeValue({ type, dims }: Pick<ForeignValue, 'type' | 'dims'>): string {
  if (type === null) return 'no tensor';
  return `${typeNames[type] ?? `type ${type}`} ${dims === null ? '[…]' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`}`;
}

const text = (value: unknown): string => (value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : '');

function part(bytes: Uint8Array, field: number): Uint8Array | null {
  for (const { number, value } of readFields(bytes)) if (number === field && value instanceof Uint8Array) return value;
  return null;
}

function dimOf(bytes: Uint8Array): number | string | null {
  for (const { number, value } of readFields(bytes)) {
    // some exporters write 0 or -1 for a size that is not known
    if (number === 1 && typeof value === 'number') return value > 0 && value < 2 ** 53 ? value : null;
    if (number === 2) return text(value);
  }
  return null;
}

/** ValueInfoProto: name (1), type (2) with tensor_type (1) of elem_type (1) and shape (2). */
function valueOf(bytes: Uint8Array): ForeignValue {
  const name = text(part(bytes, 1));
  const type = part(bytes, 2);
  const tensor = type && part(type, 1);
  if (!tensor) return { name, type: null, dims: null };
  let elementType = 0;
  let dims: ForeignValue['dims'] = null;
  for (const { number, value } of readFields(tensor)) {
    if (number === 1 && typeof value === 'number') elementType = value;
    if (number !== 2 || !(value instanceof Uint8Array)) continue;
    dims = [];
    for (const dim of readFields(value)) if (dim.value instanceof Uint8Array) dims.push(dimOf(dim.value));
  }
  return { name, type: elementType, dims };
}

/** Throws RangeError when the bytes are no protobuf message, or no model with a graph. */
export function readForeign(bytes: Uint8Array): ForeignModel {
  const model: ForeignModel = {
    ...{ irVersion: 0, opsets: new Map(), inputs: [], outputs: [] },
    ...{ graph: new Uint8Array(), functions: [] },
  };
  for (const { number, value } of readFields(bytes)) {
    if (number === 1 && typeof value === 'number') model.irVersion = value;
    if (!(value instanceof Uint8Array)) continue;
    if (number === 7) model.graph = value;
    if (number === 25) model.functions.push(value);
    if (number === 8) {
      const version = [...readFields(value)].find((field) => field.number === 2)?.value;
      model.opsets.set(text(part(value, 1)), typeof version === 'number' ? version : 0);
    }
  }
  if (model.irVersion === 0 || model.graph.length === 0) throw new RangeError('there is no graph in it');
  const given = new Set<string>();
  for (const { number, value } of readFields(model.graph)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === 5) given.add(text(part(value, 8)));
    if (number === 11) model.inputs.push(valueOf(value));
    if (number === 12) model.outputs.push(valueOf(value));
  }
  model.inputs = model.inputs.filter(({ name }) => !given.has(name));
  return model;
}

type Kind = 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'value' | 'function';

/** Fields that name a value, that hold such messages, and that say how the file came about. */
const layout: Record<Kind, { names: number[]; inside: Record<number, Kind>; dropped: number[] }> = {
  graph: {
    names: [],
    inside: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 13: 'value', 15: 'sparse' },
    dropped: [10, 14, 16],
  },
  node: { names: [1, 2], inside: { 5: 'attribute' }, dropped: [6, 9] },
  attribute: { names: [], inside: { 6: 'graph', 11: 'graph' }, dropped: [13] },
  tensor: { names: [8], inside: {}, dropped: [12, 16] },
  sparse: { names: [], inside: { 1: 'tensor' }, dropped: [] },
  value: { names: [1], inside: {}, dropped: [3, 4] },
  // its names are its own; only its remarks go
  function: { names: [], inside: {}, dropped: [8, 14] },
};

/**
 * The message with `prefix` before the name of every value, in subgraphs too, so that no name is one of another graph.
 * Remarks (doc strings, metadata: exporters put stack traces and paths there) are left out: they are no part of a model.
 */
export function renamed(bytes: Uint8Array, kind: Kind, prefix: string): Message {
  const { names, inside, dropped } = layout[kind];
  const message = new Message();
  for (const { number, value, raw } of readFields(bytes)) {
    if (dropped.includes(number)) continue;
    const next = inside[number];
    // an empty name is an optional input or output that is not used
    if (names.includes(number) && value instanceof Uint8Array && value.length > 0) {
      message.text(number, prefix + text(value));
    } else if (next !== undefined && value instanceof Uint8Array) message.message(number, renamed(value, next, prefix));
    else message.raw(raw);
  }
  return message;
}

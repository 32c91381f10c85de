// ONNX models under construction: a `Graph` collects nodes, `modelBytes` writes a ModelProto.
// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 8).
// The bytes are a function of the calls alone: no time, no producer, no path.
import { Message } from './wire.js';

/** TensorProto.DataType. */
export const elementTypes = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  double: 11,
} as const;
export type ElementType = keyof typeof elementTypes;

/** A dimension: a size, or a name for one that is known at run time only. */
export type Dim = number | string;

/** A tensor as a literal. `values` are row-major; the product of `dims` is their number. */
export interface TensorLiteral {
  type: ElementType;
  dims: readonly number[];
  values: readonly (number | string)[] | Float32Array | Float64Array | Int32Array | Int8Array | Uint8Array;
}

/** Whole numbers become INT or INTS; write a float as `{ float: x }` or `{ floats: [...] }`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { float: number }
  | { floats: readonly number[] }
  | { tensor: TensorLiteral }
  | { graph: Graph };

export type Attributes = Record<string, Attribute>;

const utf8 = new TextEncoder();

/** Bytes of one element, where they are not 4. */
const widths: Partial<Record<ElementType, number>> = { int64: 8, double: 8, bool: 1, int8: 1, uint8: 1 };

function rawBytes(literal: TensorLiteral): Uint8Array {
  const values = literal.values as readonly number[];
  const width = widths[literal.type] ?? 4;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (literal.type === 'float') view.setFloat32(i * 4, value, true);
    else if (literal.type === 'double') view.setFloat64(i * 8, value, true);
    else if (literal.type === 'int32') view.setInt32(i * 4, value, true);
    else if (literal.type === 'int64') view.setBigInt64(i * 8, BigInt(value), true);
    else if (literal.type === 'int8') view.setInt8(i, value);
    else view.setUint8(i, value);
  }
  return bytes;
}

function tensorMessage(literal: TensorLiteral, name?: string): Message {
  const size = literal.dims.reduce((product, dim) => product * dim, 1);
  if (size !== literal.values.length)
    throw new RangeError(`tensor ${name ?? ''}: ${size} places, ${literal.values.length} values`);
  const message = new Message();
  for (const dim of literal.dims) message.varint(1, dim);
  message.varint(2, elementTypes[literal.type]);
  if (literal.type === 'string') for (const value of literal.values) message.text(6, String(value));
  if (name !== undefined) message.text(8, name);
  if (literal.type !== 'string') message.bytes(9, rawBytes(literal));
  return message;
}

function listAttribute(message: Message, values: readonly (number | string)[]): Message {
  const text = typeof values[0] === 'string';
  for (const value of values) {
    if (text) message.bytes(9, utf8.encode(value as string));
    else message.varint(8, value as number);
  }
  return message.varint(20, text ? 8 : 7);
}

function attributeMessage(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') return message.varint(3, value).varint(20, 2);
  if (typeof value === 'string') return message.text(4, value).varint(20, 3);
  if (Array.isArray(value)) return listAttribute(message, value as (number | string)[]);
  if ('float' in value) return message.float(2, value.float).varint(20, 1);
  if ('tensor' in value) return message.message(5, tensorMessage(value.tensor)).varint(20, 4);
  if ('graph' in value) return message.message(6, value.graph.message()).varint(20, 5);
  if (!('floats' in value)) throw new TypeError(`attribute ${name}`);
  for (const item of value.floats) message.float(7, item);
  return message.varint(20, 6);
}

function valueInfo(name: string, type: ElementType, dims: readonly Dim[]): Message {
  const shape = new Message();
  for (const dim of dims) {
    shape.message(1, typeof dim === 'number' ? new Message().varint(1, dim) : new Message().text(2, dim));
  }
  const tensor = new Message().varint(1, elementTypes[type]).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

/**
 * One GraphProto. Names of intermediate values are counted (`Gemm_3`), unique over a graph and its subgraphs,
 * because a subgraph sees the names of the graph around it.
 */
export class Graph {
  readonly name: string;
  /** Shared with the subgraphs. */
  readonly #counter: { next: number; microsoft: boolean };
  readonly #nodes: Message[] = [];
  readonly #initializers: Message[] = [];
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];

  constructor(name = 'graph', parent?: Graph) {
    this.name = name;
    this.#counter = parent ? parent.#counter : { next: 0, microsoft: false };
  }

  /** A graph for an attribute of a node here, such as the body of a Scan. It may use names of this graph. */
  subgraph(name: string): Graph {
    return new Graph(name, this);
  }

  fresh(prefix: string): string {
    return `${prefix}_${this.#counter.next++}`;
  }

  input(name: string, type: ElementType, dims: readonly Dim[]): string {
    this.#inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Declares an output; `name` is the value of a node. */
  output(name: string, type: ElementType, dims: readonly Dim[]): string {
    this.#outputs.push(valueInfo(name, type, dims));
    return name;
  }

  initializer(literal: TensorLiteral, name = this.fresh('const')): string {
    this.#initializers.push(tensorMessage(literal, name));
    return name;
  }

  scalar(type: 'float' | 'double' | 'int64' | 'int32', value: number): string {
    return this.initializer({ type, dims: [], values: [value] });
  }

  ints(values: readonly number[]): string {
    return this.initializer({ type: 'int64', dims: [values.length], values });
  }

  /** Adds a node and answers the names of its outputs. `as` fixes names; `domain`: '', 'ai.onnx.ml' or 'com.microsoft'. */
  ops(
    type: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Attributes = {},
    domain = '',
  ): string[] {
    const names = typeof outputs === 'number' ? Array.from({ length: outputs }, () => this.fresh(type)) : [...outputs];
    const message = new Message();
    for (const input of inputs) message.text(1, input);
    for (const name of names) message.text(2, name);
    message.text(4, type);
    for (const [key, value] of Object.entries(attributes)) message.message(5, attributeMessage(key, value));
    if (domain !== '') message.text(7, domain);
    if (domain === 'com.microsoft') this.#counter.microsoft = true;
    this.#nodes.push(message);
    return names;
  }

  /** A node with one output. */
  op(type: string, inputs: readonly string[], attributes: Attributes = {}, as?: string): string {
    return this.ops(type, inputs, as === undefined ? 1 : [as], attributes)[0]!;
  }

  /** A node of the `ai.onnx.ml` domain with one output. */
  mlOp(type: string, inputs: readonly string[], attributes: Attributes = {}, as?: string): string {
    return this.ops(type, inputs, as === undefined ? 1 : [as], attributes, 'ai.onnx.ml')[0]!;
  }

  /** Whether a node here or in a subgraph is of onnxruntime's own operator set. */
  get usesMicrosoft(): boolean {
    return this.#counter.microsoft;
  }

  message(): Message {
    const message = new Message();
    for (const node of this.#nodes) message.message(1, node);
    message.text(2, this.name);
    for (const initializer of this.#initializers) message.message(5, initializer);
    for (const input of this.#inputs) message.message(11, input);
    for (const output of this.#outputs) message.message(12, output);
    return message;
  }
}

export interface ModelOptions {
  /** Version of the default operator set: 18 for training graphs (CUDA kernels), 18 or 20 for serving. */
  opset: number;
  /** Version of `ai.onnx.ml`; absent: not imported. */
  mlOpset?: number;
  metadata?: Record<string, string>;
}

/** The bytes of an ONNX file with this graph. */
export function modelBytes(graph: Graph, options: ModelOptions): Uint8Array {
  const message = new Message().varint(1, 8).message(7, graph.message());
  message.message(8, new Message().text(1, '').varint(2, options.opset));
  if (options.mlOpset !== undefined) {
    message.message(8, new Message().text(1, 'ai.onnx.ml').varint(2, options.mlOpset));
  }
  if (graph.usesMicrosoft) message.message(8, new Message().text(1, 'com.microsoft').varint(2, 1));
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    message.message(14, new Message().text(1, key).text(2, value));
  }
  return message.finish();
}

// Models in int8: a graph that writes each product with a float matrix of its own as MatMulInteger, and a table of
// embeddings as int8 rows. Trainers emit into it as into any other. Weights have one scale per column; activations are
// uint8 with one scale per row, so that a row's answer does not depend on the rows beside it, as it would with
// DynamicQuantizeLinear's one scale for all.
import type { Attributes, TensorLiteral } from '../onnx/graph.js';
import { elementTypes, Graph } from '../onnx/graph.js';

/**
 * Largest weight. CPUs without VNNI add two products uint8 · int8 in 16 bits: 2 · 255 · 64 is the most that fits, so up
 * to here the integers are the same on every CPU. With 127 an AVX2 machine answered off by 7 to 12 % (docs/lab.md).
 */
export const int8Top = 64;
/** Activations are x / scale + 128, from 1 to 255. */
const [rowTop, rowZero] = [127, 128];

/** Row-major [rows, columns]: w ≈ values · scales, off by at most half a scale; the scale of a column of zeros is 0. */
export function quantiseColumns(
  weights: ArrayLike<number>,
  columns: number,
): { values: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(columns);
  for (let i = 0; i < weights.length; i++) {
    const column = i % columns;
    scales[column] = Math.max(scales[column]!, Math.abs(weights[i]!));
  }
  scales.forEach((largest, column) => (scales[column] = largest / int8Top));
  const values = Int8Array.from({ length: weights.length }, (_, i) => {
    const scale = scales[i % columns]!;
    if (scale === 0) return 0;
    return Math.max(-int8Top, Math.min(int8Top, Math.round(weights[i]! / scale)));
  });
  return { values, scales };
}

/** The same row by row, up to 127: embeddings are looked up and not multiplied in whole numbers. */
export function quantiseRows(table: ArrayLike<number>, width: number): { values: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(table.length / width);
  for (let i = 0; i < table.length; i++) {
    const row = Math.floor(i / width);
    scales[row] = Math.max(scales[row]!, Math.abs(table[i]!));
  }
  scales.forEach((largest, row) => (scales[row] = largest / rowTop));
  const values = Int8Array.from({ length: table.length }, (_, i) => {
    const scale = scales[Math.floor(i / width)]!;
    return scale === 0 ? 0 : Math.max(-rowTop, Math.min(rowTop, Math.round(table[i]! / scale)));
  });
  return { values, scales };
}

/** A float matrix is held back until a node reads it: what only dense layers read is written as int8 alone. */
export class Int8Graph extends Graph {
  readonly #matrices = new Map<string, TensorLiteral>();
  readonly #quantised = new Map<string, { values: string; scales: string }>();
  readonly #tables = new Map<string, { values: string; scales: string }>();
  #layers = 0;

  /** Dense layers written as int8 so far; 0: this model has none. */
  get layers(): number {
    return this.#layers;
  }

  override initializer(literal: TensorLiteral, name = this.fresh('const')): string {
    if (literal.type !== 'float' || literal.dims.length !== 2) return super.initializer(literal, name);
    this.#matrices.set(name, literal);
    return name;
  }

  override ops(
    type: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Attributes = {},
    domain = '',
  ): string[] {
    const [x, w, bias] = inputs;
    const dense = (type === 'Gemm' || type === 'MatMul') && Object.keys(attributes).length === 0;
    if (dense && x !== undefined && w !== undefined && this.#isMatrix(w)) {
      const as = typeof outputs === 'number' ? undefined : outputs[0];
      return [this.#dense({ x, w, bias, as })];
    }
    if (type === 'Gather' && attributes['axis'] === 0 && w !== undefined && this.#matrices.has(x ?? '')) {
      return [this.#lookUp(x!, w, typeof outputs === 'number' ? undefined : outputs[0])];
    }
    for (const input of inputs) this.#writeFloat(input);
    return super.ops(type, inputs, outputs, attributes, domain);
  }

  #isMatrix(name: string): boolean {
    return this.#matrices.has(name) || this.#quantised.has(name);
  }

  #writeFloat(name: string): void {
    const literal = this.#matrices.get(name);
    if (!literal) return;
    super.initializer(literal, name);
    this.#matrices.delete(name);
  }

  #weights(name: string): { values: string; scales: string } {
    const known = this.#quantised.get(name);
    if (known) return known;
    const literal = this.#matrices.get(name)!;
    const { dims } = literal;
    const { values, scales } = quantiseColumns(literal.values as ArrayLike<number>, dims[1]!);
    const made = {
      values: super.initializer({ type: 'int8', dims, values }, `${name}.int8`),
      scales: super.initializer({ type: 'float', dims: [dims[1]!], values: scales }, `${name}.scale`),
    };
    this.#quantised.set(name, made);
    return made;
  }

  /** Rows of a table by number: whole numbers times the row's scale. */
  #lookUp(name: string, index: string, as: string | undefined): string {
    const literal = this.#matrices.get(name)!;
    const [rows = 0, width = 0] = literal.dims;
    let table = this.#tables.get(name);
    if (!table) {
      const { values, scales } = quantiseRows(literal.values as ArrayLike<number>, width);
      table = {
        values: super.initializer({ type: 'int8', dims: [rows, width], values }, `${name}.int8`),
        scales: super.initializer({ type: 'float', dims: [rows, 1], values: scales }, `${name}.scale`),
      };
      this.#tables.set(name, table);
    }
    const picked = super.ops('Gather', [table.values, index], 1, { axis: 0 })[0]!;
    const scale = super.ops('Gather', [table.scales, index], 1, { axis: 0 })[0]!;
    return this.op('Mul', [this.op('Cast', [picked], { to: elementTypes.float }), scale], {}, as);
  }

  /** Σ (q - 128) · w.int8 is whole; times the row's scale and the column's it is the product, plus the bias. */
  #dense({ x, w, bias, as }: { x: string; w: string; bias: string | undefined; as: string | undefined }): string {
    this.#layers++;
    const { values, scales } = this.#weights(w);
    const largest = this.op('ReduceMax', [this.op('Abs', [x]), this.ints([1])], { keepdims: 0 });
    const share = this.op('Mul', [largest, this.scalar('float', 1 / rowTop)]);
    // a row of zeros has the scale 0, by which nothing can be divided
    const scale = this.op('Max', [share, this.scalar('float', 2 ** -100)]);
    const zero: TensorLiteral = { type: 'uint8', dims: [1], values: [rowZero] };
    const zeros = this.op('ConstantOfShape', [this.op('Shape', [scale])], { value: { tensor: zero } });
    const q = this.op('QuantizeLinear', [x, scale, zeros], { axis: 0 });
    const whole = this.op('MatMulInteger', [q, values, super.initializer({ ...zero, dims: [] })]);
    const sums = this.op('Mul', [this.op('Cast', [whole], { to: elementTypes.float }), scales]);
    const column = this.op('Unsqueeze', [scale, this.ints([1])]);
    if (bias === undefined) return this.op('Mul', [sums, column], {}, as);
    return this.op('Add', [this.op('Mul', [sums, column]), bias], {}, as);
  }
}

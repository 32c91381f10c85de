// Tensors of the Open Inference Protocol as model inputs, and answers as tensors.
import { z } from '@hono/zod-openapi';
import type { ModelInputs, ModelOutputs, Signature } from '../domain/model.js';
import { cutText, toModelInputs } from '../domain/signature.js';
import { Failure } from '../domain/failures.js';
import { invalid } from './problem.js';

const datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP32',
  'FP64',
  'BYTES',
] as const;

export const tensorSchema = z
  .looseObject({
    name: z.string().max(200),
    shape: z.array(z.int().min(0).max(100_000_000)).min(1).max(8),
    datatype: z.enum(datatypes),
    data: z.array(z.unknown()),
  })
  .openapi('Tensor');
export type Tensor = z.infer<typeof tensorSchema>;

export interface OutputTensor {
  name: string;
  shape: number[];
  datatype: string;
  data: unknown[];
}

/** Row-major, nested or flat; the shape must say how many there are. */
function elements(tensor: Tensor, place: string): unknown[] {
  const flat = tensor.data.flat(8);
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  if (flat.length === count) return flat;
  throw invalid(`${place}.data`, `has ${flat.length} elements, the shape ${JSON.stringify(tensor.shape)} has ${count}`);
}

function numbers(flat: unknown[], place: string): Float32Array {
  const out = new Float32Array(flat.length);
  for (const [index, value] of flat.entries()) {
    if (value === null) out[index] = NaN;
    else if (typeof value === 'number') out[index] = value;
    else if (typeof value === 'boolean') out[index] = Number(value);
    else throw invalid(`${place}.data[${index}]`, 'must be a number; null is a missing value');
  }
  return out;
}

function texts(flat: unknown[], place: string): string[] {
  return flat.map((value, index) => {
    if (value === null) return '';
    if (typeof value === 'string') return value;
    throw invalid(`${place}.data[${index}]`, 'must be a text; null is a missing value');
  });
}

/** `num`, `cat` and `text` as the file has them. */
function wholeInputs(signature: Signature, tensors: readonly Tensor[]): ModelInputs {
  const find = (name: string) => tensors.findIndex((tensor) => tensor.name === name);
  const read = (name: 'num' | 'cat' | 'text', width: number, datatype: string) => {
    const index = find(name);
    const tensor = tensors[index];
    if (width === 0) return null;
    if (!tensor) throw invalid('inputs', `lacks ${name}, ${datatype} [-1,${width}]`);
    if (tensor.datatype !== datatype) throw invalid(`inputs[${index}].datatype`, `must be ${datatype}`);
    if (tensor.shape.length !== 2 || tensor.shape[1] !== width)
      throw invalid(`inputs[${index}].shape`, `must be [rows,${width}]`);
    return { place: `inputs[${index}]`, rows: tensor.shape[0] ?? 0, flat: elements(tensor, `inputs[${index}]`) };
  };
  const num = read('num', signature.num.length, 'FP32');
  const cat = read('cat', signature.cat.length, 'BYTES');
  const text = read('text', signature.text?.length ?? 0, 'BYTES');
  const [first, ...others] = Object.entries({ num, cat, text }).flatMap(([name, one]) =>
    one ? [{ name, ...one }] : [],
  );
  const other = others.find(({ rows }) => rows !== first?.rows);
  if (first && other) throw invalid('inputs', `${first.name} has ${first.rows} rows, ${other.name} has ${other.rows}`);
  return {
    rows: first?.rows ?? 0,
    num: num ? numbers(num.flat, num.place) : new Float32Array(0),
    cat: cat ? texts(cat.flat, cat.place) : [],
    ...(text && { text: texts(text.flat, text.place).map(cutText) }),
  };
}

/** One tensor per column, as data frames are sent. */
function columnInputs(signature: Signature, tensors: readonly Tensor[]): ModelInputs {
  const columns = tensors.map((tensor, index) => ({ name: tensor.name, cells: elements(tensor, `inputs[${index}]`) }));
  const rows = columns[0]?.cells.length ?? 0;
  columns.forEach(({ cells }, index) => {
    if (cells.length !== rows)
      throw invalid(`inputs[${index}].shape`, `has ${cells.length} rows, the first has ${rows}`);
  });
  const records = Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(columns.map(({ name, cells }) => [name, cells[row]])),
  );
  const taken = toModelInputs(signature, records);
  if ('inputs' in taken) return taken.inputs;
  const [first] = taken.faults;
  throw new Failure('InvalidRequest', `${first?.path} ${first?.message}`, { faults: taken.faults });
}

/** @throws Failure `InvalidRequest` with the place of each fault */
export function inputsOf(signature: Signature, tensors: readonly Tensor[]): ModelInputs {
  const names = tensors.map(({ name }) => name);
  const doubled = names.find((name, index) => names.indexOf(name) !== index);
  if (doubled !== undefined) throw invalid('inputs', `has ${doubled} twice`);
  const whole = names.every((name) => name === 'num' || name === 'cat' || name === 'text');
  const all = [...signature.num.map((input) => input.column), ...signature.cat, ...(signature.text ?? [])];
  const column = all.some((name) => names.includes(name));
  return whole && !column ? wholeInputs(signature, tensors) : columnInputs(signature, tensors);
}

export function outputsOf(signature: Signature, outputs: ModelOutputs, rows: number): OutputTensor[] {
  if (signature.task === 'regression') {
    return [{ name: 'value', shape: [rows], datatype: 'FP32', data: [...(outputs.value ?? [])] }];
  }
  const probabilities = [...(outputs.probabilities ?? [])];
  return [
    { name: 'label', shape: [rows], datatype: 'BYTES', data: outputs.label ?? [] },
    { name: 'probabilities', shape: [rows, signature.classes.length], datatype: 'FP32', data: probabilities },
  ];
}

/** What `GET /v2/models/{m}` says of a model. */
export function describeTensors(signature: Signature) {
  const inputs = [
    { name: 'num', datatype: 'FP32', shape: [-1, signature.num.length] },
    { name: 'cat', datatype: 'BYTES', shape: [-1, signature.cat.length] },
    { name: 'text', datatype: 'BYTES', shape: [-1, signature.text?.length ?? 0] },
  ];
  const outputs =
    signature.task === 'regression'
      ? [{ name: 'value', datatype: 'FP32', shape: [-1] }]
      : [
          { name: 'label', datatype: 'BYTES', shape: [-1] },
          { name: 'probabilities', datatype: 'FP32', shape: [-1, signature.classes.length] },
        ];
  return { inputs: inputs.filter(({ shape }) => shape[1] !== 0), outputs };
}

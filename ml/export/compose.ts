// The model of a `command` program as the served file (docs/command-trainer.md): our features in front and the label head
// behind (`features`), or as it is (`rows`). What does not fit is refused by name, before anything loads it.
import type { ModelForm } from '../../domain/command.js';
import { Failure, type FailureName } from '../../domain/failures.js';
import type { FittedFeatures, Signature } from '../../domain/model.js';
import { featureWidth } from '../features/columns.js';
import { emitFeatures } from '../features/graph.js';
import { hasExternalData } from '../onnx/external.js';
import { describeValue, type ForeignModel, type ForeignValue, readForeign, renamed } from '../onnx/foreign.js';
import { elementTypes, Graph } from '../onnx/graph.js';
import { Message, readFields } from '../onnx/wire.js';
import { emitLabel, servedMetadata, servedOpsets } from './head.js';

/** Every value of the program's graph is called so, and none of ours. */
const prefix = 'command/';
/** The operators of our features and head exist from here on; those of texts came later. */
const oldestOpset = { plain: 13, text: 18 };
const oldestMlOpset = 2;

interface Expected {
  name: string;
  type: 'float' | 'string';
  /** Ranks that fit; the second size where it is fixed. */
  ranks: readonly number[];
  width: number;
}

function wanted({ type, ranks, width }: Expected): string {
  return `${type} ${ranks.map((rank) => (rank === 1 ? '[N]' : `[N, ${width}]`)).join(' or ')}`;
}

function fits({ type, dims }: ForeignValue, expected: Expected): boolean {
  if (type !== elementTypes[expected.type]) return false;
  if (dims === null) return true;
  if (!expected.ranks.includes(dims.length) || typeof dims[0] === 'number') return false;
  return typeof dims[1] !== 'number' || dims[1] === expected.width;
}

function demand(failure: FailureName, verb: string, found: ForeignValue[], expected: Expected[]): void {
  const list = (values: ForeignValue[]) => values.map((value) => `${value.name} ${describeValue(value)}`).join(', ');
  for (const one of expected) {
    const value = found.find(({ name }) => name === one.name);
    if (value && fits(value, one)) continue;
    const instead = value ? `${value.name} is ${describeValue(value)}` : `it ${verb} ${list(found) || 'nothing'}`;
    throw new Failure(failure, `the program's model must ${verb.slice(0, -1)} ${one.name} ${wanted(one)}; ${instead}`);
  }
}

function checkInputs(model: ForeignModel, expected: Expected[]): void {
  demand('CommandModelInputs', 'takes', model.inputs, expected);
  const more = model.inputs.filter(({ name }) => !expected.some((one) => one.name === name)).map(({ name }) => name);
  if (more.length === 0) return;
  const known = expected.map(({ name }) => name).join(' and ');
  throw new Failure('CommandModelInputs', `the program's model takes ${more.join(', ')} beside ${known}`);
}

function answers({ task, classes }: Signature, form: ModelForm): Expected[] {
  if (task === 'regression') {
    return [{ name: 'value', type: 'float', ranks: form === 'rows' ? [1] : [1, 2], width: 1 }];
  }
  const label = { name: 'label', type: 'string' as const, ranks: [1], width: 0 };
  const probabilities = { name: 'probabilities', type: 'float' as const, ranks: [2], width: classes.length };
  return form === 'rows' ? [label, probabilities] : [probabilities];
}

function read(bytes: Uint8Array): ForeignModel {
  try {
    if (hasExternalData(bytes)) {
      const why = 'keeps tensors in files beside it; export it as one file';
      throw new Failure('CommandModelExternal', `the program's model ${why}`);
    }
    return readForeign(bytes);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new Failure('CommandModelBroken', `the program's model.onnx is no ONNX file: ${why}`);
  }
}

/** Version 1 differs for `LabelEncoder` alone; exporters of trees still write it. */
function raiseMlOpset({ opsets, graph }: ForeignModel): void {
  if (opsets.get('ai.onnx.ml') !== 1 || Buffer.from(graph).includes('LabelEncoder')) return;
  opsets.set('ai.onnx.ml', servedOpsets.mlOpset);
}

function checkOpsets({ opsets }: ForeignModel, oldest: number): void {
  const version = opsets.get('') ?? opsets.get('ai.onnx') ?? 0;
  const ml = opsets.get('ai.onnx.ml') ?? oldestMlOpset;
  if (version >= oldest && ml >= oldestMlOpset) return;
  const found = version < oldest ? `opset ${version}` : `ai.onnx.ml opset ${ml}`;
  const needed = version < oldest ? oldest : oldestMlOpset;
  throw new Failure('CommandModelOpset', `the program's model is of ${found}; ${needed} or newer is needed`);
}

function emitTail(graph: Graph, signature: Signature): void {
  if (signature.task === 'regression') {
    const flat = graph.op('Reshape', [`${prefix}value`, graph.ints([-1])], {}, 'value');
    graph.output(flat, 'float', ['N']);
    return;
  }
  emitLabel(graph, graph.op('Identity', [`${prefix}probabilities`], {}, 'probabilities'), signature.classes);
}

/** Nodes in the order in which they run; our inputs, our outputs, and the values of all three. */
function joined(front: Graph, middle: Uint8Array, tail: Graph): Message {
  const parts = [front.message().finish(), renamed(middle, 'graph', prefix).finish(), tail.message().finish()];
  const message = new Message();
  const take = (number: number, of: (Uint8Array | undefined)[]): void => {
    for (const bytes of of) for (const field of readFields(bytes!)) if (field.number === number) message.raw(field.raw);
  };
  take(1, parts);
  message.text(2, 'model');
  take(5, parts);
  take(11, [parts[0]]);
  take(12, [parts[2]]);
  take(15, [parts[1]]);
  return message;
}

function withFeatures(fitted: FittedFeatures, model: ForeignModel): Uint8Array {
  const width = featureWidth(fitted);
  checkInputs(model, [{ name: 'X', type: 'float', ranks: [2], width }]);
  demand('CommandModelOutputs', 'gives', model.outputs, answers(fitted.signature, 'features'));
  raiseMlOpset(model);
  checkOpsets(model, fitted.text ? oldestOpset.text : oldestOpset.plain);
  const front = new Graph('model');
  front.op('Identity', [emitFeatures(front, fitted)], {}, `${prefix}X`);
  const tail = front.subgraph('tail');
  emitTail(tail, fitted.signature);
  const file = new Message().varint(1, Math.max(8, model.irVersion)).message(7, joined(front, model.graph, tail));
  const microsoft: [string, number][] = front.usesMicrosoft ? [['com.microsoft', 1]] : [];
  for (const [domain, version] of new Map([
    ...microsoft,
    ['', servedOpsets.opset],
    ['ai.onnx.ml', servedOpsets.mlOpset],
    ...model.opsets,
  ])) {
    file.message(8, new Message().text(1, domain).varint(2, version));
  }
  for (const [key, value] of Object.entries(servedMetadata(fitted.signature))) {
    file.message(14, new Message().text(1, key).text(2, value));
  }
  for (const one of model.functions) file.message(25, renamed(one, 'function', prefix));
  return file.finish();
}

/** The file byte for byte, but for our metadata. */
function asItIs(signature: Signature, model: ForeignModel, bytes: Uint8Array): Uint8Array {
  const num: Expected = { name: 'num', type: 'float', ranks: [2], width: signature.num.length };
  const cat: Expected = { name: 'cat', type: 'string', ranks: [2], width: signature.cat.length };
  const text: Expected = { name: 'text', type: 'string', ranks: [2], width: signature.text?.length ?? 0 };
  checkInputs(
    model,
    [num, cat, text].filter(({ width }) => width > 0),
  );
  demand('CommandModelOutputs', 'gives', model.outputs, answers(signature, 'rows'));
  const ours = servedMetadata(signature);
  const file = new Message();
  for (const { number, value, raw } of readFields(bytes)) {
    const key = number === 14 && value instanceof Uint8Array ? [...readFields(value)][0]?.value : null;
    const name = key instanceof Uint8Array ? Buffer.from(key).toString('utf8') : '';
    if (!Object.hasOwn(ours, name)) file.raw(raw);
  }
  for (const [key, value] of Object.entries(ours)) file.message(14, new Message().text(1, key).text(2, value));
  return file.finish();
}

/**
 * The served file. `features`: the program's graph takes `X` float32 [N,width] and gives `probabilities` float32 [N,C] in the
 * order of the classes, or `value` float32 [N] or [N,1]. `rows`: it takes and gives what the signature says, itself.
 * Throws CommandModelBroken, CommandModelExternal, CommandModelInputs, CommandModelOutputs, CommandModelOpset.
 */
export function composeModel(fitted: FittedFeatures, bytes: Uint8Array, form: ModelForm): Uint8Array {
  const model = read(bytes);
  return form === 'features' ? withFeatures(fitted, model) : asItIs(fitted.signature, model, bytes);
}

import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { hasExternalData } from '../../ml/onnx/external.js';
import { Graph, modelBytes } from '../../ml/onnx/graph.js';
import { Message } from '../../ml/onnx/wire.js';
import { runOnce } from './support.js';

// The messages of onnx.proto that we write, in proto2 as there.
const proto = `syntax = "proto2";
message AttributeProto { optional string name = 1; optional float f = 2; optional int64 i = 3; optional bytes s = 4;
  optional TensorProto t = 5; optional GraphProto g = 6; repeated float floats = 7; repeated int64 ints = 8;
  repeated bytes strings = 9; optional int32 type = 20; }
message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
message TypeProto { message Tensor { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
  optional Tensor tensor_type = 1; }
message TensorShapeProto { message Dimension { optional int64 dim_value = 1; optional string dim_param = 2; }
  repeated Dimension dim = 1; }
message NodeProto { repeated string input = 1; repeated string output = 2; optional string name = 3;
  optional string op_type = 4; repeated AttributeProto attribute = 5; optional string domain = 7; }
message ModelProto { optional int64 ir_version = 1; repeated OperatorSetIdProto opset_import = 8;
  optional GraphProto graph = 7; repeated StringStringEntryProto metadata_props = 14; }
message StringStringEntryProto { optional string key = 1; optional string value = 2; }
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message GraphProto { repeated NodeProto node = 1; optional string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
message TensorProto { repeated int64 dims = 1; optional int32 data_type = 2; repeated bytes string_data = 6;
  optional string name = 8; optional bytes raw_data = 9; repeated StringStringEntryProto external_data = 13;
  optional int32 data_location = 14; }`;
const ModelProto = protobuf.parse(proto, { keepCase: true }).root.lookupType('ModelProto');

function decode(bytes: Uint8Array): any {
  return ModelProto.toObject(ModelProto.decode(bytes), { longs: Number, bytes: Array });
}

const text = (bytes: number[]): string => Buffer.from(bytes).toString('utf8');

function sample(): Uint8Array {
  const graph = new Graph('sample');
  const x = graph.input('x', 'float', ['N', 2]);
  const w = graph.initializer({ type: 'float', dims: [2, 3], values: [1, 2, 3, 4, 5, 6] }, 'w');
  const y = graph.op('Gemm', [x, w], { alpha: { float: 0.5 }, transB: 0 });
  graph.output(graph.op('Identity', [y], {}, 'y'), 'float', ['N', 3]);
  const keys = graph.op('ArgMax', [y], { axis: -1, keepdims: 0 });
  const label = graph.mlOp(
    'LabelEncoder',
    [keys],
    { keys_int64s: [0, 1, 2], values_strings: ['ä', '하', ''] },
    'label',
  );
  graph.output(label, 'string', ['N']);
  return modelBytes(graph, { opset: 18, mlOpset: 3, metadata: { 'perennial.task': 'größe' } });
}

test('what we write reads the same through protobufjs, and encodes to the same length', () => {
  const bytes = sample();
  const model = decode(bytes);
  expect(model.ir_version).toBe(8);
  expect(model.opset_import).toEqual([
    { domain: '', version: 18 },
    { domain: 'ai.onnx.ml', version: 3 },
  ]);
  expect(model.metadata_props).toEqual([{ key: 'perennial.task', value: 'größe' }]);
  const { node, initializer, input, output, name } = model.graph;
  expect(name).toBe('sample');
  expect(node.map((n: any) => n.op_type)).toEqual(['Gemm', 'Identity', 'ArgMax', 'LabelEncoder']);
  expect(node[0].attribute).toEqual([
    { name: 'alpha', f: 0.5, type: 1 },
    { name: 'transB', i: 0, type: 2 },
  ]);
  expect(node[2].attribute[0]).toEqual({ name: 'axis', i: -1, type: 2 });
  expect(node[3].domain).toBe('ai.onnx.ml');
  expect(node[3].attribute[0]).toEqual({ name: 'keys_int64s', ints: [0, 1, 2], type: 7 });
  expect(node[3].attribute[1].strings.map(text)).toEqual(['ä', '하', '']);
  expect(initializer[0].dims).toEqual([2, 3]);
  expect([...new Float32Array(Uint8Array.from(initializer[0].raw_data).buffer)]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(input[0].type.tensor_type.shape.dim).toEqual([{ dim_param: 'N' }, { dim_value: 2 }]);
  expect(output.map((o: any) => [o.name, o.type.tensor_type.elem_type])).toEqual([
    ['y', 1],
    ['label', 8],
  ]);
  expect(ModelProto.encode(ModelProto.decode(bytes)).finish().length).toBe(bytes.length);
});

test('onnxruntime computes what was written', async () => {
  const result = await runOnce(sample(), { x: { type: 'float32', dims: [2, 2], data: [1, 0, 0, 2] } });
  expect([...(result['y']!.data as Float32Array)]).toEqual([0.5, 1, 1.5, 4, 5, 6]);
  expect(result['label']!.data).toEqual(['', '']);
});

test('integers of 64 bits, also negative ones, and every literal type', () => {
  const graph = new Graph();
  graph.initializer({ type: 'int64', dims: [3], values: [-1, 2 ** 40, 0] }, 'i');
  graph.initializer({ type: 'string', dims: [2], values: ['é', ''] }, 's');
  graph.initializer({ type: 'bool', dims: [2], values: [1, 0] }, 'b');
  graph.initializer({ type: 'int32', dims: [], values: [-7] }, 'j');
  const [i, s, b, j] = decode(modelBytes(graph, { opset: 18 })).graph.initializer;
  expect([...new BigInt64Array(Uint8Array.from(i.raw_data).buffer)]).toEqual([-1n, 2n ** 40n, 0n]);
  expect(s.string_data.map(text)).toEqual(['é', '']);
  expect(b.raw_data).toEqual([1, 0]);
  expect(j.dims ?? []).toEqual([]);
  expect([...new Int32Array(Uint8Array.from(j.raw_data).buffer)]).toEqual([-7]);
});

test('a literal whose size does not fit its dimensions is refused', () => {
  expect(() => new Graph().initializer({ type: 'float', dims: [3], values: [1] })).toThrow(/3 places, 1 values/);
});

test('names in a subgraph differ from those around it', () => {
  const graph = new Graph();
  const body = graph.subgraph('body');
  const names = [graph.op('Neg', ['x']), body.op('Neg', ['x']), graph.op('Neg', ['x'])];
  expect(new Set(names).size).toBe(3);
});

test('external data is found in initializers and in attributes of nodes, also inside subgraphs', () => {
  expect(hasExternalData(sample())).toBe(false);
  const outside = new Message().varint(1, 1).text(8, 'w').varint(14, 1);
  const attribute = new Message().text(1, 'value').message(5, outside);
  const inNode = new Message().message(1, new Message().text(4, 'Constant').message(5, attribute));
  const nested = new Message().message(1, new Message().message(5, new Message().message(6, inNode)));
  for (const graph of [new Message().message(5, outside), inNode, nested]) {
    expect(hasExternalData(new Message().message(7, graph).finish())).toBe(true);
  }
  expect(() => hasExternalData(Uint8Array.from([0x3a, 0xff]))).toThrow(RangeError);
});

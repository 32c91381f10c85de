// Whether an ONNX file keeps tensors in other files. Such a file's sha256 says nothing about what it computes.
import { readFields } from './wire.js';

type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function';

/** Which fields of a message hold messages that may hold tensors (field numbers of onnx.proto). */
const inside: Record<Kind, Record<number, Kind>> = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  tensor: {},
  sparse: { 1: 'tensor', 2: 'tensor' },
  function: { 7: 'node', 11: 'attribute' },
};

/**
 * True when any tensor has `external_data` (13) or `data_location` EXTERNAL (14).
 * Throws RangeError when the bytes are no protobuf message.
 */
export function hasExternalData(bytes: Uint8Array, kind: Kind = 'model'): boolean {
  for (const { number, value } of readFields(bytes)) {
    if (kind === 'tensor' && (number === 13 || (number === 14 && value === 1))) return true;
    const next = inside[kind][number];
    if (next !== undefined && value instanceof Uint8Array && hasExternalData(value, next)) return true;
  }
  return false;
}

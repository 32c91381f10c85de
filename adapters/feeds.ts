// Model inputs as the tensors of an ONNX file; an input without columns is absent. Used by parents and the scorer child.
import { Failure } from '../domain/failures.js';
import type { ModelInputs, Signature } from '../domain/model.js';
import type { TensorValue } from './scorer.js';

/** Throws `InvalidRequest` when the cells are not as many as the rows take. */
export function feedsOf(signature: Signature, inputs: ModelInputs): Record<string, TensorValue> {
  const { rows, num, cat, text = [] } = inputs;
  const [n, m, t] = [signature.num.length, signature.cat.length, signature.text?.length ?? 0];
  if (num.length !== rows * n || cat.length !== rows * m || text.length !== rows * t) {
    const taken = `${rows * n} numbers, ${rows * m} categories and ${rows * t} texts`;
    throw new Failure(
      'InvalidRequest',
      `${rows} rows take ${taken}, not ${num.length}, ${cat.length} and ${text.length}`,
    );
  }
  return {
    ...(n > 0 && { num: { type: 'float32', dims: [rows, n], data: num } }),
    ...(m > 0 && { cat: { type: 'string', dims: [rows, m], data: cat } }),
    ...(t > 0 && { text: { type: 'string', dims: [rows, t], data: text } }),
  };
}

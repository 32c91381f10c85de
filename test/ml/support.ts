// Shared by the tests of ml/: run an ONNX graph once, and a small deterministic source of numbers.
import { InferenceSession, Tensor } from 'onnxruntime-node';

export type Feed = {
  type: 'float32' | 'float64' | 'int32' | 'uint8' | 'string';
  dims: number[];
  data: readonly (number | string)[] | Float32Array | Int32Array;
};

export function tensor(feed: Feed): Tensor {
  const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };
  if (feed.type === 'string') return new Tensor('string', [...feed.data] as string[], feed.dims);
  return new Tensor(feed.type, arrays[feed.type].from(feed.data as number[]), feed.dims);
}

export async function runOnce(bytes: Uint8Array, feeds: Record<string, Feed>): Promise<Record<string, Tensor>> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const tensors = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, tensor(feed)]));
  return (await session.run(tensors)) as Record<string, Tensor>;
}

/** Numbers in [-1, 1): a linear congruential generator (Numerical Recipes, §7.1). */
export function numbers(seed: number, count: number): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

// Where a graph runs. The execution provider is an option of the session and nothing else differs.
// onnxruntime-node throws when the libraries of a provider are missing; it never falls back by itself.
import { InferenceSession, Tensor, env } from 'onnxruntime-node';
import { Failure } from '../domain/failures.js';
import type { Provider } from '../domain/model.js';
import { Graph, modelBytes } from './onnx/graph.js';

/** Part of what a result depends on. */
export const runtimeVersion: string = env.versions.node ?? env.versions.common;

/** `threads` is intra-op; results differ in the last bits between thread counts, so it is pinned with a run. */
export async function createSession(
  model: Uint8Array,
  options: { provider?: Provider; threads?: number } = {},
): Promise<InferenceSession> {
  // What goes wrong is thrown; the native log would only repeat it on stderr.
  env.logLevel = 'fatal';
  return InferenceSession.create(model, {
    executionProviders: [options.provider ?? 'cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
  });
}

/** Whether this machine can run graphs there, tried with one addition; `reason` is the error's first line, or ''. */
export async function probeProvider(provider: Provider): Promise<{ ok: boolean; reason: string }> {
  const graph = new Graph('probe');
  const x = graph.input('x', 'float', [1]);
  graph.output(graph.op('Add', [x, x], {}, 'y'), 'float', [1]);
  try {
    const session = await createSession(modelBytes(graph, { opset: 18 }), { provider });
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1), [1]) });
    await session.release();
    return Number(y?.data[0]) === 2 ? { ok: true, reason: '' } : { ok: false, reason: 'a wrong sum' };
  } catch (error) {
    return { ok: false, reason: (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '' };
  }
}

/** Like `createSession`, but a provider that is not there is the failure `Unavailable`. */
export async function createTrainingSession(
  model: Uint8Array,
  options: { provider: Provider; threads: number },
): Promise<InferenceSession> {
  if (options.provider !== 'cpu') {
    const { ok, reason } = await probeProvider(options.provider);
    if (!ok) throw new Failure('Unavailable', `the provider ${options.provider} does not run here: ${reason}`);
  }
  return createSession(model, options);
}

// After training: the temperature of a classifier's probabilities, fitted on the validation part through the very nodes
// that are served (stats/temperature.ts). The same for every trainer; it becomes a fact of the last snapshot.
import { Tensor } from 'onnxruntime-node';
import type { Calibration, Snapshot, TrainSpec } from '../../domain/model.js';
import type { Json } from '../../domain/json.js';
import { fitTemperature } from '../../stats/temperature.js';
import { Graph, modelBytes } from '../onnx/graph.js';
import { createSession } from '../provider.js';
import { type Rows, shapeOf, type Trainer } from './trainer.js';

/** Fewer say too little about a temperature, more hardly anything new: then evenly spread blocks are taken. */
const [leastRows, mostRows, blockRows] = [50, 50_000, 1_000];
/** How strongly a temperature is held near 1 (stats/temperature.ts). */
const prior = 10;

/** Row-major logits and targets of the validation part, some blocks of it where it is large. */
async function logitsOf(trainer: Trainer, spec: TrainSpec, rows: Rows, snapshot: Snapshot) {
  const shape = shapeOf(spec);
  const graph = new Graph('calibration');
  const logits = trainer.emit(graph, graph.input('X', 'float', ['N', shape.width]), snapshot, shape);
  graph.output(graph.op('Identity', [logits], {}, 'logits'), 'float', ['N', shape.outputs]);
  const session = await createSession(modelBytes(graph, { opset: 18, mlOpset: 3 }));
  const every = Math.max(1, Math.ceil(rows.rows / mostRows));
  const found: number[] = [];
  const truth: number[] = [];
  try {
    for (let from = 0; from < rows.rows; from += every * blockRows) {
      const count = Math.min(blockRows, rows.rows - from);
      const x = new Float32Array(count * shape.width);
      await rows.read(from, count, x);
      const result = await session.run({ X: new Tensor('float32', x, [count, shape.width]) });
      for (const logit of result['logits']!.data as Float32Array) found.push(logit);
      for (const label of rows.y.subarray(from, from + count)) truth.push(label);
    }
  } finally {
    await session.release();
  }
  return { logits: found, truth };
}

async function calibrationFor(trainer: Trainer, spec: TrainSpec, rows: Rows | null, snapshot: Snapshot) {
  const none = (reason: string): Calibration => ({ temperature: 1, rows: 0, reason });
  if (rows === null) return none('the split has no validation part');
  if (rows.rows < leastRows) return none(`the validation part has ${rows.rows} rows, ${leastRows} are needed`);
  const { logits, truth } = await logitsOf(trainer, spec, rows, snapshot);
  return {
    temperature: fitTemperature(logits, truth, { classes: spec.outputs, prior }),
    rows: truth.length,
    reason: null,
  };
}

/** The snapshot with its `calibration`; a regression's as it is. */
export async function calibrated(
  trainer: Trainer,
  spec: TrainSpec,
  validation: Rows | null,
  snapshot: Snapshot,
): Promise<Snapshot> {
  if (spec.task === 'regression') return snapshot;
  // one that was finished before and went on from there has its calibration already, somewhere among the facts
  const { calibration: _, ...facts } = snapshot.facts;
  const calibration = (await calibrationFor(trainer, spec, validation, snapshot)) as unknown as Json;
  return { ...snapshot, facts: { ...facts, calibration } };
}

/** Null for a regression, and for a model that was never calibrated. */
export function calibrationOf({ facts }: Snapshot): Calibration | null {
  return (facts['calibration'] ?? null) as unknown as Calibration | null;
}

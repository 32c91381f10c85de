// One good document, as a user writes it, and small changes of it for tests.
import { parsePipeline } from '../../domain/document.js';
import type { Json } from '../../domain/json.js';
import type { PipelineDocument } from '../../domain/pipeline.js';

type JsonObject = { [key: string]: Json };

/** The document of docs/pipeline.md, with a strategy that is built. */
export function digits(changes: JsonObject = {}): JsonObject {
  return {
    name: 'digits',
    dataset: {
      name: 'digits',
      source: { type: 'file', path: '/data/digits.csv' },
      key: 'id',
      label: 'label',
      task: 'classification',
    },
    features: { exclude: ['id'] },
    expectations: [{ column: 'px00', min: 0, max: 16 }, { rows: { min: 100 } }],
    quarantine: { maxShare: 0.01 },
    labeling: { strategy: 'margin', batchSize: 60, explore: 0.1, deadline: '3 days' },
    split: { holdout: 0.2, validation: 0.1, seed: 1 },
    trainer: { type: 'linear', params: { epochs: 40, batch: 64, learningRate: 0.01 }, seed: 7 },
    gate: { metric: 'accuracy', min: 0.85, champion: { notWorseBy: 0.01 } },
    evaluation: { slices: ['px00'] },
    approval: { quorum: 1, deadline: '7 days', onDeadline: 'reject' },
    release: { strategy: 'direct' },
    triggers: {
      schedule: '0 2 * * *',
      timezone: 'Asia/Seoul',
      newRows: 500,
      cooldown: '1 hour',
      maxRunsPerDay: 4,
    },
    ...changes,
  };
}

export function regression(changes: JsonObject = {}): JsonObject {
  const dataset = { name: 'houses', key: 'id', label: 'price', task: 'regression' };
  return { name: 'houses', dataset, trainer: { type: 'linear' }, gate: { metric: 'rmse', max: 10 }, ...changes };
}

/** The parsed document; a fault fails the test. */
export function parsed(source: Json): PipelineDocument {
  const result = parsePipeline(source);
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result.document;
}

import { describe, expect, it } from 'vitest';
import { applyOverrides, parsePipeline } from '../../domain/document.js';
import { todaysDocument } from '../../domain/document-stored.js';
import type { PipelineDocument } from '../../domain/pipeline.js';
import { digits, parsed } from './document.support.js';

/** As the software of issue 3 parsed `digits()`: no treatments of features, no checks, no serving, five parameters. */
const ofIssue3 = {
  name: 'digits',
  dataset: {
    name: 'digits',
    source: { type: 'file', path: '/data/digits.csv' },
    key: 'id',
    label: 'label',
    task: 'classification',
  },
  features: { include: null, exclude: ['id'], types: {} },
  expectations: [{ column: 'px00', min: 0, max: 16 }, { rows: { min: 100 } }],
  quarantine: { maxShare: 0.01 },
  labeling: { strategy: 'margin', batchSize: 60, explore: 0.1, deadlineMs: 259_200_000 },
  split: { holdout: 0.2, validation: 0.1, seed: 1, by: { kind: 'key' } },
  trainers: [
    {
      type: 'linear',
      params: { epochs: 40, batch: 64, learningRate: 0.01, weightDecay: 0.0001, schedule: 'cosine' },
      seed: 7,
      pool: 'auto',
    },
  ],
  gate: { metric: 'accuracy', min: 0.85, max: null, champion: { notWorseBy: 0.01 } },
  evaluation: { slices: ['px00'] },
  approval: { quorum: 1, deadlineMs: 604_800_000, onDeadline: 'reject' },
  release: { strategy: 'direct' },
  triggers: {
    schedule: '0 2 * * *',
    timezone: 'Asia/Seoul',
    newRows: 500,
    cooldownMs: 3_600_000,
    maxRunsPerDay: 4,
  },
} as unknown as PipelineDocument;

describe('a document of older software', () => {
  it('has today the fields that it lacks, with their defaults', () => {
    const today = todaysDocument({ document: ofIssue3, source: digits() });
    expect(today).toEqual(parsed(digits()));
    expect(today.gate.checks).toEqual([]);
    expect(today.trainers[0]!.params).toMatchObject({ optimiser: 'adamw', patience: 0 });
  });

  it('keeps what was stored, also where a default is another one today', () => {
    const stored = { ...ofIssue3, quarantine: { maxShare: 0.05 }, labeling: null };
    const today = todaysDocument({ document: stored, source: digits() });
    expect(today).toMatchObject({ quarantine: { maxShare: 0.05 }, labeling: null, serving: { variant: 'float32' } });
  });

  it('is filled by the overrides of its run', () => {
    const overrides = { 'gate.min': 0.9, 'serving.variant': 'auto' };
    const stored = { ...ofIssue3, gate: { ...ofIssue3.gate, min: 0.9 } };
    const read = applyOverrides(digits(), overrides);
    expect(todaysDocument({ document: stored, source: digits(), overrides })).toEqual(
      'document' in read ? read.document : null,
    );
  });

  it('stays as it is where its source would be refused today', () => {
    const source = digits({ trainer: { type: 'gone' } });
    expect(parsePipeline(source)).toHaveProperty('faults');
    expect(todaysDocument({ document: ofIssue3, source })).toBe(ofIssue3);
  });

  it('goes on with what is refused only since: equal candidates, changes without meaning for a stated type', () => {
    const change = { invariance: { column: 'px01', changes: { case: true } } };
    const source = digits({
      trainer: [{ type: 'linear' }, { type: 'linear' }],
      features: { types: { px01: 'number' } },
      gate: { metric: 'accuracy', min: 0.5, checks: [change] },
    });
    const posted = parsePipeline(source);
    expect('faults' in posted && [...new Set(posted.faults.map(({ path }) => path))]).toEqual([
      'gate.checks[0].invariance.changes',
      'trainer[1]',
    ]);
    expect(applyOverrides(source, {})).toHaveProperty('document');
    expect(applyOverrides(source, { 'gate.min': 0.6 })).toHaveProperty('document.gate.min', 0.6);
  });

  it('is the same again when it is of today', () => {
    const document = parsed(digits());
    expect(todaysDocument({ document, source: digits() })).toEqual(document);
  });
});

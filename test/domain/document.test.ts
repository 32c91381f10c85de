import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyOverrides, parsePipeline } from '../../domain/document.js';
import { defaultPolicy } from '../../domain/label-policy.js';
import type { FieldFault } from '../../domain/failures.js';
import { canonicalJson, type Json } from '../../domain/json.js';
import { filledTreatments, treatmentOf } from '../../domain/features.js';
import { digits, parsed, regression } from './document.support.js';

function faultsOf(source: unknown): FieldFault[] {
  const result = parsePipeline(source);
  return 'faults' in result ? result.faults : [];
}

const dataset = { name: 'digits', key: 'id', label: 'label', task: 'classification' };
const linear = { type: 'linear' };
const gated = (...checks: Json[]) => digits({ gate: { metric: 'accuracy', min: 0.5, checks } });

const code = `sha256:${'a'.repeat(64)}`;
const judging = { code, program: ['judge'] };

/** What is written, where the fault lies, what its message says. */
const bad: [Json, string, string[]][] = [
  [null, '', ['found null', 'an object with name']],
  [[], '', ['a list of 0']],
  ['name: digits', '', ['found "name: digits"']],
  [{}, 'name', ['found nothing', 'a-z']],
  [{}, 'dataset', ['found nothing', 'key']],
  [{}, 'trainer', ['found nothing']],
  [{}, 'gate', ['found nothing', 'metric']],
  [digits({ name: 'Digits' }), 'name', ['"Digits"', 'a-z, 0-9']],
  [digits({ name: '-digits' }), 'name', ['"-digits"']],
  [digits({ name: 'a'.repeat(64) }), 'name', ['at most 63']],
  [digits({ name: 7 }), 'name', ['found 7']],
  [digits({ labelling: {} }), 'labelling', ['unknown field', 'did you mean "labeling"']],
  [digits({ steps: [] }), 'steps', ['not built yet']],
  [digits({ dataset: 'digits' }), 'dataset', ['found "digits"', 'an object with']],
  [digits({ dataset: { ...dataset, name: 'a b' } }), 'dataset.name', ['"a b"']],
  [digits({ dataset: { name: 'digits', label: 'label', task: 'classification' } }), 'dataset.key', ['found nothing']],
  [digits({ dataset: { ...dataset, key: '' } }), 'dataset.key', ['found ""', 'column']],
  [digits({ dataset: { ...dataset, label: 'id' } }), 'dataset.label', ['is the key']],
  [digits({ dataset: { ...dataset, task: 'clasification' } }), 'dataset.task', ['did you mean "classification"']],
  [digits({ dataset: { ...dataset, task: 3 } }), 'dataset.task', ['found 3', 'classification, regression']],
  [digits({ dataset: { ...dataset, tasks: 'x' } }), 'dataset.tasks', ['did you mean "task"']],
  [digits({ dataset: { ...dataset, source: null } }), 'dataset.source', ['found null']],
  [
    digits({ dataset: { ...dataset, source: { type: 's3', path: 'x' } } }),
    'dataset.source.type',
    ['not built', 'file'],
  ],
  [digits({ dataset: { ...dataset, source: { type: 'file' } } }), 'dataset.source.path', ['found nothing', 'glob']],
  [digits({ features: { include: ['id'] } }), 'features.include[0]', ['which is the key']],
  [digits({ features: ['px00', 'label'] }), 'features[1]', ['which is the label']],
  [digits({ features: { include: ['a'], exclude: ['a'] } }), 'features.include[0]', ['excluded too']],
  [digits({ features: { exclude: ['a', 'a'] } }), 'features.exclude[1]', ['again']],
  [
    digits({ trainer: [{ type: 'linear' }, { type: 'mlp' }, { type: 'linear', params: { epochs: 40 } }] }),
    'trainer[2]',
    ['the same candidate as trainer[0]'],
  ],
  [
    digits({
      features: { types: { px01: 'number' } },
      gate: { metric: 'accuracy', min: 0.5, checks: [{ invariance: { column: 'px01', changes: { set: ['red'] } } }] },
    }),
    'gate.checks[0].invariance.changes',
    ['"red" must be a number', 'features.types says of px01'],
  ],
  [
    digits({
      features: { types: { day: 'date' } },
      gate: { metric: 'accuracy', min: 0.5, checks: [{ invariance: { column: 'day', changes: { case: true } } }] },
    }),
    'gate.checks[0].invariance.changes',
    ['a date has no form', 'features.types says of day'],
  ],
  [digits({ features: { types: { a: 'numbr' } } }), 'features.types.a', ['did you mean "number"']],
  [digits({ features: { types: { a: 'txt' } } }), 'features.types.a', ['did you mean "text"']],
  [digits({ features: { numbers: { impute: 'medain' } } }), 'features.numbers.impute', ['did you mean "median"']],
  [digits({ features: { numbers: { impute: 1e39 } } }), 'features.numbers.impute', ['found 1e+39', 'a number']],
  [digits({ features: { numbers: { impute: 'none' } } }), 'features.numbers.impute', ['linear cannot learn']],
  [digits({ features: { columns: { a: { impute: 'none' } } } }), 'features.columns.a.impute', ['linear cannot learn']],
  [digits({ features: { numbers: { scale: 'std' } } }), 'features.numbers.scale', ['standard, robust, minmax, none']],
  [digits({ features: { numbers: { indicator: true } } }), 'features.numbers.indicator', ['never, auto, always']],
  [digits({ features: { categories: { encode: 'onehot' } } }), 'features.categories.encode', ['mean "oneHot"']],
  [digits({ features: { categories: { limit: 0 } } }), 'features.categories.limit', ['≥ 1']],
  [digits({ features: { categories: { buckets: 1 } } }), 'features.categories.buckets', ['≥ 2']],
  [digits({ features: { categories: { values: ['a'] } } }), 'features.categories.values', ['unknown field']],
  [digits({ features: { dates: { parts: ['year', 'years'] } } }), 'features.dates.parts[1]', ['did you mean "year"']],
  [digits({ features: { dates: { parts: [] } } }), 'features.dates.parts', ['1 to 6 of year']],
  [digits({ features: { text: { words: [2, 1] } } }), 'features.text.words', ['[2,1]', 'up to 3']],
  [digits({ features: { text: { characters: 7 } } }), 'features.text.characters', ['found 7', 'up to 6']],
  [digits({ features: { text: { words: 0, characters: 0 } } }), 'features.text', ['neither words nor characters']],
  [digits({ features: { text: { hashes: 8 } } }), 'features.text.hashes', ['≥ 16']],
  [digits({ features: { columns: { a: { scale: 'none', words: 2 } } } }), 'features.columns.a', ['do not go together']],
  [digits({ features: { columns: { a: { scal: 'none' } } } }), 'features.columns.a.scal', ['did you mean "scale"']],
  [digits({ features: { columns: { a: { values: ['x', 'x'] } } } }), 'features.columns.a.values[1]', ['again']],
  [
    digits({ features: { types: { a: 'text' }, columns: { a: { scale: 'none' } } } }),
    'features.columns.a.scale',
    ['for a text'],
  ],
  [digits({ features: { exclude: ['a'], columns: { a: { scale: 'none' } } } }), 'features.columns.a', ['excluded']],
  [digits({ expectations: {} }), 'expectations', ['an object', 'expectations']],
  [digits({ expectations: [{ column: 'a' }] }), 'expectations[0]', ['without a rule']],
  [digits({ expectations: [{ column: 'a', min: 3, max: 2 }] }), 'expectations[0].max', ['found 2', 'at least min, 3']],
  [digits({ expectations: [{ column: 'a', minimum: 3 }] }), 'expectations[0].minimum', ['unknown field', '"min"']],
  [digits({ expectations: [{ column: 'a', pattern: 'x' }] }), 'expectations[0].pattern', ['not built yet']],
  [digits({ expectations: [{ column: 'a', in: [] }] }), 'expectations[0].in', ['a list of 0']],
  [digits({ expectations: [{ rows: {} }] }), 'expectations[0].rows', ['no bound']],
  [digits({ expectations: [{ rows: { min: 1.5 } }] }), 'expectations[0].rows.min', ['1.5', 'whole']],
  [digits({ quarantine: { maxShare: 2 } }), 'quarantine.maxShare', ['found 2', '≤ 1']],
  [digits({ labeling: null }), 'labeling', ['found null']],
  [digits({ labeling: { strategy: 'margins' } }), 'labeling.strategy', ['did you mean "margin"']],
  [digits({ labeling: { batchSize: 0 } }), 'labeling.batchSize', ['found 0', '≥ 1']],
  [digits({ labeling: { explore: '10 %' } }), 'labeling.explore', ['found "10 %"']],
  [digits({ labeling: { deadline: '3 dais' } }), 'labeling.deadline', ['"3 dais"', 'did you mean "days"']],
  [digits({ labeling: { deadline: 3 } }), 'labeling.deadline', ['found 3', '3 days']],
  [digits({ labeling: { deadline: '0 s' } }), 'labeling.deadline', ['found "0 s"']],
  [digits({ labeling: { deadline: '3 years' } }), 'labeling.deadline', ['"3 years"']],
  [digits({ labeling: { ask: 'suspect' } }), 'labeling.ask', ['"suspect"', 'unlabelled, suspects or { keys: […] }']],
  [digits({ labeling: { ask: { keys: [] } } }), 'labeling.ask.keys', ['a list of 0', '1 to 10000 keys']],
  [digits({ labeling: { ask: { keys: ['a', 'a'] } } }), 'labeling.ask.keys[1]', ['"a" again', 'each once']],
  [digits({ labeling: { ask: { keys: [7] } } }), 'labeling.ask.keys[0]', ['found 7']],
  [regression({ labeling: { ask: 'suspects' } }), 'labeling.ask', ['needs classes']],
  [digits({ labeling: { annotators: 0 } }), 'labeling.annotators', ['found 0', '≥ 1']],
  [digits({ labeling: { annotators: { min: 3, max: 2 } } }), 'labeling.annotators.max', ['at least min, 3']],
  [digits({ labeling: { gold: { share: 0.9 } } }), 'labeling.gold.share', ['≤ 0.5']],
  [digits({ labeling: { skip: { to: 'other' } } }), 'labeling.skip.to', ['did you mean "others"']],
  [digits({ labeling: { review: { shares: 1 } } }), 'labeling.review.shares', ['did you mean "share"']],
  [regression({ labeling: { strategy: 'margin' } }), 'labeling.strategy', ['needs classes', 'random']],
  [digits({ labeling: { pseudo: true } }), 'labeling.pseudo', ['found true']],
  [digits({ labeling: { pseudo: { maxError: 0 } } }), 'labeling.pseudo.maxError', ['found 0', '> 0']],
  [digits({ labeling: { pseudo: { maxError: 0.6 } } }), 'labeling.pseudo.maxError', ['found 0.6', '≤ 0.5']],
  [digits({ labeling: { pseudo: { confidence: 1 } } }), 'labeling.pseudo.confidence', ['found 1', '< 1']],
  [digits({ labeling: { pseudo: { weight: 2 } } }), 'labeling.pseudo.weight', ['found 2', '≤ 1']],
  [digits({ labeling: { pseudo: { perClass: 0.5 } } }), 'labeling.pseudo.perClass', ['found 0.5', '≥ 1']],
  [digits({ labeling: { pseudo: { rounds: 2 } } }), 'labeling.pseudo.rounds', ['unknown field']],
  [regression({ labeling: { pseudo: {} } }), 'labeling.pseudo', ['regression']],
  [gated(7), 'gate.checks[0]', ['found 7', 'one of slice, invariance']],
  [gated({}), 'gate.checks[0]', ['found no check']],
  [gated({ command: null }), 'gate.checks[0].command', ['found null', 'an object with directory, code, program']],
  [gated({ command: { code } }), 'gate.checks[0].command.program', ['found nothing', 'program and its arguments']],
  [gated({ command: { code, program: [] } }), 'gate.checks[0].command.program', ['a list of 0']],
  [gated({ command: { code, program: 'judge' } }), 'gate.checks[0].command.program', ['found "judge"']],
  [gated({ command: { program: ['judge'] } }), 'gate.checks[0].command.directory', ['neither directory nor code']],
  [gated({ command: { code, directory: 'x', program: ['judge'] } }), 'gate.checks[0].command.directory', ['both']],
  [gated({ command: { ...judging, code: 'sha256:1' } }), 'gate.checks[0].command.code', ['64 hex digits']],
  [gated({ command: { ...judging, image: 'python:3' } }), 'gate.checks[0].command.image', ['name@sha256']],
  [gated({ command: { ...judging, deadline: '23 hours' } }), 'gate.checks[0].command.deadline', ['1 s to 22 hours']],
  [gated({ command: { ...judging, memoryMb: 1 } }), 'gate.checks[0].command.memoryMb', ['≥ 16']],
  [gated({ command: { ...judging, diskMb: 0 } }), 'gate.checks[0].command.diskMb', ['≥ 1']],
  [gated({ command: { ...judging, params: [] } }), 'gate.checks[0].command.params', ['an object for the program']],
  [gated({ command: { ...judging, inputs: 'rows' } }), 'gate.checks[0].command.inputs', ['unknown field "inputs"']],
  [gated({ command: judging }, { command: judging }), 'gate.checks[1].name', ['"command judge" again']],
  [gated({ slices: { column: 'a' } }), 'gate.checks[0].slices', ['unknown check', 'did you mean "slice"']],
  [gated({ size: { maxBytes: 1 }, latency: { p99Ms: 1 } }), 'gate.checks[0]', ['latency and size']],
  [gated({ size: { maxBytes: '10 XB' } }), 'gate.checks[0].size.maxBytes', ['"10 XB"', '10 MB']],
  [gated({ size: { maxBytes: 0 } }), 'gate.checks[0].size.maxBytes', ['found 0']],
  [gated({ size: {} }), 'gate.checks[0].size.maxBytes', ['found nothing']],
  [gated({ latency: { p99Ms: 0 } }), 'gate.checks[0].latency.p99Ms', ['> 0']],
  [gated({ calibration: { maxEce: 2 } }), 'gate.checks[0].calibration.maxEce', ['≤ 1']],
  [gated({ slice: { column: 'a' } }), 'gate.checks[0].slice', ['no bound']],
  [gated({ slice: { column: 'a', min: 1, max: 0 } }), 'gate.checks[0].slice.max', ['at least min, 1']],
  [gated({ slice: { column: 'id', min: 1 } }), 'gate.checks[0].slice.column', ['the key', 'rows share']],
  [gated({ slice: { column: 'a', metric: 'rmse', max: 1 } }), 'gate.checks[0].slice.metric', ['does not fit the task']],
  [gated({ invariance: { column: 'label' } }), 'gate.checks[0].invariance.column', ['the label', 'feature column']],
  [gated({ invariance: { column: 'a', changes: {} } }), 'gate.checks[0].invariance.changes', ['no change', 'shuffle']],
  [
    gated({ name: 'x', size: { maxBytes: 1 } }, { name: 'x', latency: { p99Ms: 1 } }),
    'gate.checks[1].name',
    ['"x" again'],
  ],
  [
    regression({ gate: { metric: 'rmse', max: 1, checks: [{ calibration: { maxEce: 0.1 } }] } }),
    'gate.checks[0].calibration',
    ['the task regression'],
  ],
  [digits({ serving: 'int8' }), 'serving', ['found "int8"', 'an object with variant, minAgreement']],
  [digits({ serving: { variant: 'int4' } }), 'serving.variant', ['float32, int8, auto', 'did you mean "int8"']],
  [
    digits({ trainer: [linear, { type: 'trees' }], serving: { variant: 'int8' } }),
    'serving.variant',
    ['the trainer trees, which has no int8 form', 'float32, auto'],
  ],
  [digits({ serving: { minAgreement: 0.4 } }), 'serving.minAgreement', ['found 0.4', '≥ 0.5 and ≤ 1']],
  [digits({ split: { holdout: 0 } }), 'split.holdout', ['found 0', '> 0']],
  [digits({ split: { holdout: 0.95 } }), 'split.holdout', ['≤ 0.9']],
  [digits({ split: { holdout: 0.5, validation: 0.5 } }), 'split.validation', ['rows to train on']],
  [digits({ split: { seed: 1.5 } }), 'split.seed', ['whole number']],
  [digits({ split: { by: 'label' } }), 'split.by', ['the label']],
  [digits({ split: { by: { times: 'at' } } }), 'split.by.times', ['did you mean "time"']],
  [digits({ trainer: 'linear' }), 'trainer', ['found "linear"', 'an object with type']],
  [digits({ trainer: [] }), 'trainer', ['a list of 0', '1 to 8']],
  [digits({ trainer: Array.from({ length: 9 }, () => linear) }), 'trainer', ['a list of 9', '1 to 8']],
  [digits({ trainer: {} }), 'trainer.type', ['found nothing', 'linear']],
  [digits({ trainer: { type: 'forest' } }), 'trainer.type', ['"forest"']],
  [digits({ trainer: { type: 'xgboost' } }), 'trainer.type', ['"xgboost"']],
  [digits({ trainer: [linear, { type: 'linaer' }] }), 'trainer[1].type', ['did you mean "linear"']],
  [digits({ trainer: { type: 'linear', params: { epoch: 4 } } }), 'trainer.params.epoch', ['did you mean "epochs"']],
  [digits({ trainer: { type: 'linear', params: { epochs: 0 } } }), 'trainer.params.epochs', ['found 0', '≥ 1']],
  [digits({ trainer: { type: 'linear', params: { epochs: '40' } } }), 'trainer.params.epochs', ['found "40"']],
  [digits({ trainer: { type: 'linear', params: [] } }), 'trainer.params', ['a list of 0']],
  [digits({ trainer: { type: 'linear', seed: -1 } }), 'trainer.seed', ['found -1']],
  [digits({ trainer: { type: 'linear', pool: 'tpu' } }), 'trainer.pool', ['auto, cpu, gpu']],
  [digits({ gate: { min: 0.8 } }), 'gate.metric', ['found nothing', 'accuracy']],
  [digits({ gate: { metric: 'acuracy', min: 0.8 } }), 'gate.metric', ['did you mean "accuracy"']],
  [digits({ gate: { metric: 'macro_f1', min: 0.8 } }), 'gate.metric', ['did you mean "macroF1"']],
  [digits({ gate: { metric: 'rmse', max: 1 } }), 'gate.metric', ['does not fit', 'accuracy, macroF1, logLoss']],
  [regression({ gate: { metric: 'accuracy', min: 0.5 } }), 'gate.metric', ['does not fit', 'rmse, mae, r2']],
  [digits({ gate: { metric: 'accuracy' } }), 'gate', ['without a bound', 'min, champion']],
  [digits({ gate: { metric: 'accuracy', max: 0.9 } }), 'gate.max', ['better when higher', '"min"']],
  [digits({ gate: { metric: 'logLoss', min: 0.2 } }), 'gate.min', ['better when lower', '"max"']],
  [digits({ gate: { metric: 'accuracy', min: 85 } }), 'gate.min', ['found 85', '≥ 0 and ≤ 1']],
  [digits({ gate: { metric: 'accuracy', min: 0.9, max: 0.8 } }), 'gate.max', ['at least min, 0.9']],
  [digits({ gate: { metric: 'accuracy', champion: { notWorseBy: -1 } } }), 'gate.champion.notWorseBy', ['found -1']],
  [digits({ gate: { metric: 'accuracy', minimum: 1 } }), 'gate.minimum', ['did you mean "min"']],
  [digits({ evaluation: { slices: 'px00' } }), 'evaluation.slices', ['found "px00"']],
  [digits({ evaluation: { slices: ['id'] } }), 'evaluation.slices[0]', ['the key']],
  [digits({ evaluation: { slice: ['id'] } }), 'evaluation.slice', ['did you mean "slices"']],
  [digits({ approval: { quorum: 2 } }), 'approval.quorum', ['not built yet', 'allowed: 1']],
  [digits({ approval: { onDeadline: 'rejct' } }), 'approval.onDeadline', ['did you mean "reject"']],
  [digits({ approval: true }), 'approval', ['found true']],
  [digits({ release: { strategy: 'canary' } }), 'release.strategy', ['not built yet', 'direct']],
  [digits({ release: { strategy: 'shadow' } }), 'release.strategy', ['not built yet', 'direct']],
  [digits({ release: { strategy: 'ab' } }), 'release.strategy', ['not built yet', 'direct']],
  [digits({ triggers: { drift: {} } }), 'triggers.drift', ['not built yet', 'newRows']],
  [digits({ triggers: { shedule: '@daily' } }), 'triggers.shedule', ['did you mean "schedule"']],
  [digits({ triggers: { schedule: '0 2 * *' } }), 'triggers.schedule', ['4 of five fields']],
  [digits({ triggers: { schedule: '60 2 * * *' } }), 'triggers.schedule', ['minute "60"', '0-59']],
  [digits({ triggers: { schedule: '0 2 31 feb *' } }), 'triggers.schedule', ['no such day']],
  [digits({ triggers: { schedule: '@dayly' } }), 'triggers.schedule', ['did you mean "@daily"']],
  [digits({ triggers: { timezone: 'Asia/Soul' } }), 'triggers.timezone', ['did you mean "Asia/Seoul"']],
  [digits({ triggers: { timezone: 'asia/tokyo' } }), 'triggers.timezone', ['did you mean "Asia/Tokyo"']],
  [digits({ triggers: { timezone: '+09:00' } }), 'triggers.timezone', ['IANA']],
  [digits({ triggers: { newRows: 0 } }), 'triggers.newRows', ['found 0']],
  [digits({ triggers: { cooldown: '-1 hour' } }), 'triggers.cooldown', ['"-1 hour"']],
  [digits({ triggers: { maxRunsPerDay: 1.5 } }), 'triggers.maxRunsPerDay', ['1.5']],
];

describe('a bad document', () => {
  for (const [index, [source, path, parts]] of bad.entries()) {
    it(`${index}: ${path}: ${parts.join(' … ')}`, () => {
      const faults = faultsOf(source);
      const fault = faults.find((found) => found.path === path);
      expect(fault, JSON.stringify(faults)).toBeDefined();
      for (const part of parts) expect(fault?.message).toContain(part);
    });
  }

  it('tells every fault at once', () => {
    const source = digits({ name: 'X', gate: { metric: 'rmse' }, split: { holdout: 2 }, extra: 1 });
    expect(faultsOf(source).map(({ path }) => path)).toEqual(
      expect.arrayContaining(['extra', 'name', 'split.holdout', 'gate.metric', 'gate']),
    );
  });
});

describe('a good document', () => {
  it('is read with durations in milliseconds', () => {
    const document = parsed(digits());
    const asked = { ask: 'unlabelled', strategy: 'margin', batchSize: 60, explore: 0.1, deadlineMs: 259_200_000 };
    expect(document.labeling).toEqual({ ...asked, pseudo: null, policy: defaultPolicy });
    expect(document.approval).toEqual({ quorum: 1, deadlineMs: 604_800_000, onDeadline: 'reject' });
    expect(document.triggers.cooldownMs).toBe(3_600_000);
    expect(document.trainers[0]?.params).toMatchObject({ epochs: 40, weightDecay: 0.0001 });
  });

  it('takes pseudo-labels with defaults, or with some of their rules', () => {
    const pseudo = (given: unknown) => parsed(digits({ labeling: { pseudo: given } as Json })).labeling?.pseudo;
    const defaults = { maxError: 0.2, confidence: 0.95, weight: 0.3, perClass: 1_000 };
    expect(pseudo({})).toEqual(defaults);
    expect(pseudo({ weight: 1, perClass: 5 })).toEqual({ ...defaults, weight: 1, perClass: 5 });
  });

  it('takes a number of annotators, or bounds with a confidence', () => {
    const overlap = (annotators: unknown) =>
      parsed(digits({ labeling: { annotators } as Json })).labeling?.policy.overlap;
    expect(overlap(3)).toEqual({ min: 3, max: 3, confidence: 0.9 });
    expect(overlap({ min: 2, max: 5, confidence: 0.8 })).toEqual({ min: 2, max: 5, confidence: 0.8 });
    expect(overlap({ max: 4 })).toEqual({ min: 1, max: 4, confidence: 0.9 });
  });

  it('needs only what docs/pipeline.md requires', () => {
    const document = parsed({ name: 'a', dataset, trainer: linear, gate: { metric: 'accuracy', min: 0.5 } });
    expect(document).toMatchObject({
      dataset: { source: null },
      features: { include: null, exclude: [], types: {} },
      expectations: [],
      quarantine: { maxShare: 0.01 },
      labeling: null,
      split: { holdout: 0.2, validation: 0.1, seed: 1, by: { kind: 'key' } },
      gate: { max: null, champion: null },
      approval: null,
      release: { strategy: 'direct' },
      triggers: { schedule: null, timezone: 'UTC', newRows: null, cooldownMs: 0, maxRunsPerDay: null },
    });
  });

  it('takes a list of features, candidates, groups and time cuts', () => {
    expect(parsed(digits({ features: ['a', 'b'] })).features.include).toEqual(['a', 'b']);
    expect(parsed(digits({ trainer: [linear, { ...linear, seed: 2 }] })).trainers).toHaveLength(2);
    expect(parsed(digits({ split: { by: 'writer' } })).split.by).toEqual({ kind: 'group', column: 'writer' });
    expect(parsed(digits({ split: { by: { time: 'at' } } })).split.by).toEqual({ kind: 'time', column: 'at' });
    expect(parsed(digits({ split: { by: 'id' } })).split.by).toEqual({ kind: 'key' });
  });

  it('fills in how columns become features, plain where only trees learn', () => {
    const { features } = parsed(digits({ features: { numbers: { scale: 'robust' }, text: { words: [1, 2] } } }));
    expect(features).toMatchObject({
      numbers: { impute: 'median', indicator: 'never', scale: 'robust' },
      categories: { encode: 'oneHot', limit: 256 },
      dates: { cyclic: false },
      text: { words: [1, 2], characters: [2, 3] },
      plain: false,
      tokens: 'none',
    });
    const columns = { price: { impute: 0, scale: 'none' as const } };
    const own = parsed(digits({ features: { columns } })).features;
    expect(treatmentOf(own, 'price').number).toEqual({ impute: 0, indicator: 'never', scale: 'none' });
    expect(treatmentOf(own, 'other').number).toEqual(own.numbers);
    const written = { numbers: {}, categories: {}, dates: {}, text: {}, columns: {} };
    expect(filledTreatments(written, ['trees', 'trees'])).toMatchObject({
      numbers: { impute: 'none', scale: 'none' },
      categories: { encode: 'ordinal', limit: 254 },
      plain: true,
    });
    expect(filledTreatments(written, ['trees', 'linear'])).toMatchObject({ plain: false, tokens: 'none' });
    expect(filledTreatments(written, ['text', 'linear']).tokens).toBe('some');
    expect(filledTreatments(written, ['text']).tokens).toBe('only');
  });

  it('asks at random for a regression, by margin for classes', () => {
    expect(parsed(regression({ labeling: {} })).labeling?.strategy).toBe('random');
    expect(parsed(digits({ labeling: {} })).labeling?.strategy).toBe('margin');
  });

  it.each(['0 2 * * *', '*/15 8-18/2 1,15 jan-mar mon-fri', '@daily', '0 0 29 2 *', '5 4 * * 7'])(
    'cron %s',
    (schedule) => {
      expect(parsed(digits({ triggers: { schedule } })).triggers.schedule).toBe(schedule);
    },
  );

  it.each(['UTC', 'Asia/Seoul', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata', 'Europe/Kyiv'])(
    'zone %s',
    (timezone) => {
      expect(parsed(digits({ triggers: { timezone } })).triggers.timezone).toBe(timezone);
    },
  );
});

describe('overrides', () => {
  it('replace dotted paths and leave the source alone', () => {
    const source = digits();
    const before = canonicalJson(source);
    const result = applyOverrides(source, { 'trainer.params.epochs': 20, 'labeling.batchSize': 5 });
    expect(result).toMatchObject({ document: { trainers: [{ params: { epochs: 20 } }], labeling: { batchSize: 5 } } });
    expect(canonicalJson(source)).toBe(before);
  });

  it('make what is absent, and reach into lists', () => {
    const source = digits({ trainer: [linear, { ...linear, seed: 2 }] });
    expect(applyOverrides(source, { 'trainer[1].params.epochs': 3 })).toMatchObject({
      document: { trainers: [{ params: { epochs: 40 } }, { params: { epochs: 3 } }] },
    });
    expect(applyOverrides(source, { 'trainer.0.seed': 3 })).toMatchObject({
      document: { trainers: [{ seed: 3 }, {}] },
    });
  });

  const wrong: [Record<string, Json>, string, string][] = [
    [{ 'trainer.params.epoch': 3 }, 'overrides.trainer.params.epoch', 'did you mean "epochs"'],
    [{ 'trainer.params.epochs': 0 }, 'overrides.trainer.params.epochs', '≥ 1'],
    [{ 'trainr.params.epochs': 3 }, 'overrides.trainr.params.epochs', 'did you mean "trainer"'],
    [{ gate: { metric: 'rmse', max: 1 } }, 'overrides.gate.metric', 'does not fit'],
    [{ 'split.seed': 2 }, 'overrides.split.seed', 'all runs share'],
    [{ 'name.x': 2 }, 'overrides.name.x', 'all runs share'],
    [{ 'gate.metric.name': 2 }, 'overrides.gate.metric.name', 'found "accuracy" on the way'],
    [{ '': 2 }, 'overrides.', 'an empty path'],
    [{ 'gate.__proto__.x': 2 }, 'overrides.gate.__proto__.x', 'no field'],
  ];
  it.each(wrong)('%j is a fault at %s', (overrides, path, part) => {
    const result = applyOverrides(digits(), overrides);
    const fault = 'faults' in result ? result.faults.find((found) => found.path === path) : undefined;
    expect(fault?.message, JSON.stringify(result)).toContain(part);
  });

  it('name the place in a list', () => {
    const result = applyOverrides(digits({ trainer: [linear] }), { 'trainer.params.epochs': 3 });
    expect(result).toMatchObject({ faults: [{ path: 'overrides.trainer.params.epochs' }] });
  });
});

describe('properties', () => {
  it('parsing never throws, tells at least one fault or the document, and is stable', () => {
    const anything = fc.oneof(
      fc.anything(),
      fc.anything().map((value) => digits({ gate: value as Json })),
    );
    fc.assert(
      fc.property(anything, (value) => {
        const first = parsePipeline(value);
        expect(parsePipeline(value)).toEqual(first);
        if ('faults' in first) expect(first.faults.length).toBeGreaterThan(0);
      }),
    );
  });

  it('any field of the good document replaced by anything: no throw, and faults lie at or below that field', () => {
    const field = fc.constantFrom(...Object.keys(digits()));
    fc.assert(
      fc.property(field, fc.jsonValue(), (name, value) => {
        const result = parsePipeline(digits({ [name]: value as Json }));
        if (!('faults' in result)) return;
        const crossing = ['gate', 'labeling', 'evaluation', 'features', 'split', 'dataset'];
        for (const { path } of result.faults) {
          const top = /^[^.[]+/.exec(path)?.[0] ?? '';
          expect([name, ...crossing]).toContain(top);
        }
      }),
    );
  });

  it('the order of fields does not matter', () => {
    const entries = Object.entries(digits());
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: entries.length }), (shuffled) => {
        expect(canonicalJson(parsed(Object.fromEntries(shuffled)))).toBe(canonicalJson(parsed(digits())));
      }),
    );
  });

  it('overrides never throw', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (overrides) => {
        applyOverrides(digits(), overrides as Record<string, Json>);
      }),
    );
  });
});

describe('checks', () => {
  it('are read with their defaults, names and the metric of the gate', () => {
    const document = parsed(
      gated(
        { slice: { column: 'px00', min: 0.8 } },
        { name: 'no matter', invariance: { column: 'px01', changes: { missing: true, set: [3, 'x'], case: true } } },
        { latency: { p99Ms: 5 } },
        { size: { maxBytes: '10 MB' } },
        { calibration: { maxEce: 0.05 } },
        { invariance: { column: 'px02' } },
        { command: { directory: 'checks', program: ['python3', 'judge.py'] } },
        { name: 'fair', command: { ...judging, deadline: '5 minutes', memoryMb: 100, diskMb: 10, params: { a: [1] } } },
      ),
    );
    expect(document.gate.checks).toEqual([
      { kind: 'slice', name: 'slice px00', column: 'px00', metric: 'accuracy', min: 0.8, max: null, minRows: 30 },
      {
        ...{ kind: 'invariance', name: 'no matter', column: 'px01', min: 0.99, rows: 1000 },
        changes: [
          { kind: 'missing' },
          { kind: 'set', value: '3' },
          { kind: 'set', value: 'x' },
          { kind: 'upper' },
          { kind: 'lower' },
        ],
      },
      { kind: 'latency', name: 'latency', p99Ms: 5, batch: 1 },
      { kind: 'size', name: 'size', maxBytes: 10_000_000 },
      { kind: 'calibration', name: 'calibration', maxEce: 0.05 },
      {
        ...{ kind: 'invariance', name: 'invariance px02', column: 'px02', min: 0.99, rows: 1000 },
        changes: [{ kind: 'shuffle' }],
      },
      {
        ...{ kind: 'command', name: 'command python3 judge.py', directory: 'checks', code: null, image: null },
        ...{ program: ['python3', 'judge.py'], deadlineMs: 14_400_000, memoryMb: 4096, diskMb: 10_240, params: {} },
      },
      {
        ...{ kind: 'command', name: 'fair', directory: null, ...judging, image: null },
        ...{ deadlineMs: 300_000, memoryMb: 100, diskMb: 10, params: { a: [1] } },
      },
    ]);
    expect(parsed(digits()).gate.checks).toEqual([]);
    expect(parsed(digits()).serving).toEqual({ variant: 'float32', minAgreement: 0.99 });
  });
});

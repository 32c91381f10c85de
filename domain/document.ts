// A pipeline document from JSON (docs/pipeline.md): all faults at once, or the document with every default filled in.
// The fields themselves are one table in document-fields.ts; here is what depends on two of them, and a run's overrides.
import { checkFaults, typeFaults, resolvedChecks, type ReadCheck } from './document-checks.js';
import type { ColumnType } from './dataset.js';
import { checkTreatments, type WrittenFeatures } from './document-features.js';
import { readDocument, type ReadDocument } from './document-fields.js';
import type { FieldFault } from './failures.js';
import { filledTreatments } from './features.js';
import { addFault, described, isRecord } from './fields.js';
import type { Json } from './json.js';
import { metricRules } from './metric.js';
import { nearestWord } from './nearest.js';
import { classificationMetrics, regressionMetrics, type MetricName, type PipelineDocument } from './pipeline.js';
import { int8Trainers } from './variant.js';

export type ParsedPipeline = { document: PipelineDocument } | { faults: FieldFault[] };

/** A value that was read in part: fields with a fault are undefined. */
type Partly<T> = T extends (infer Item)[]
  ? (Partly<Item> | undefined)[]
  : T extends object
    ? { [K in keyof T]?: Partly<T[K]> | undefined }
    : T;
type Check = (document: Partly<ReadDocument>, faults: FieldFault[], raw: unknown) => void;

const checkMetric: Check = ({ dataset, gate }, faults) => {
  if (!gate?.metric || !dataset?.task) return;
  const allowed: readonly MetricName[] = dataset.task === 'classification' ? classificationMetrics : regressionMetrics;
  if (allowed.includes(gate.metric)) return;
  const nearest = nearestWord(gate.metric, allowed);
  addFault(faults, 'gate.metric', {
    found: `"${gate.metric}", which does not fit the task ${dataset.task}`,
    allowed: allowed.join(', '),
    nearest,
  });
};

const checkBounds: Check = ({ gate }, faults) => {
  if (!gate?.metric) return;
  const { min: low, max: high, better } = metricRules[gate.metric];
  for (const bound of ['min', 'max'] as const) {
    const value = gate[bound];
    if (typeof value !== 'number' || (value >= low && value <= high)) continue;
    const words = [low === -Infinity ? '' : `≥ ${low}`, high === Infinity ? '' : `≤ ${high}`].filter(
      (word) => word !== '',
    );
    addFault(faults, `gate.${bound}`, {
      found: String(value),
      allowed: `a number ${words.join(' and ')} for ${gate.metric}`,
    });
  }
  if (typeof gate.min === 'number' && typeof gate.max === 'number' && gate.min > gate.max) {
    addFault(faults, 'gate.max', { found: String(gate.max), allowed: `at least min, ${gate.min}` });
  }
  const [needed, other] = better === 'higher' ? (['min', 'max'] as const) : (['max', 'min'] as const);
  if (gate[needed] !== null || gate.champion !== null) return;
  if (gate[other] === null) {
    addFault(faults, 'gate', {
      found: 'a metric without a bound',
      allowed: `${needed}, champion or both for ${gate.metric}`,
    });
  } else if (gate[other] !== undefined) {
    const found = `only ${other}, but ${gate.metric} is better when ${better}`;
    addFault(faults, `gate.${other}`, { found, allowed: `${needed} or champion`, nearest: needed });
  }
};

const checkFeatures: Check = ({ dataset, features }, faults, raw) => {
  const listed = isRecord(raw) && Array.isArray(raw.features);
  for (const [index, column] of (features?.include ?? []).entries()) {
    if (column === undefined) continue;
    let why = features?.exclude?.includes(column) ? 'excluded too' : null;
    if (column === dataset?.label) why = 'the label';
    if (column === dataset?.key) why = 'the key';
    if (why === null) continue;
    const path = listed ? `features[${index}]` : `features.include[${index}]`;
    addFault(faults, path, { found: `${described(column)}, which is ${why}`, allowed: 'a feature column' });
  }
};

const checkColumns: Check = ({ dataset, split, evaluation }, faults) => {
  const { key, label } = dataset ?? {};
  if (key !== undefined && key === label) {
    addFault(faults, 'dataset.label', { found: `${described(label)}, which is the key`, allowed: 'another column' });
  }
  const by = split?.by as PipelineDocument['split']['by'] | undefined;
  if (by && by.kind !== 'key' && by.column !== undefined && by.column === label) {
    const path = by.kind === 'time' ? 'split.by.time' : 'split.by';
    addFault(faults, path, { found: 'the label', allowed: 'key or another column' });
  }
  for (const [index, column] of (evaluation?.slices ?? []).entries()) {
    if (column === undefined || column !== key) continue;
    addFault(faults, `evaluation.slices[${index}]`, { found: 'the key', allowed: 'a column that several rows share' });
  }
};

const checkSplit: Check = ({ split }, faults) => {
  const { holdout, validation } = split ?? {};
  if (holdout === undefined || validation === undefined || holdout + validation < 1) return;
  addFault(faults, 'split.validation', {
    found: String(validation),
    allowed: `less than 1 - holdout, ${Number((1 - holdout).toFixed(6))}, so that rows to train on are left`,
  });
};

const checkStrategy: Check = ({ dataset, labeling }, faults) => {
  const strategy = labeling?.strategy;
  if (dataset?.task !== 'regression' || !strategy || strategy === 'random') return;
  addFault(faults, 'labeling.strategy', {
    found: `"${strategy}", which needs classes, with the task regression`,
    allowed: 'random',
  });
};

const checkPseudo: Check = ({ dataset, labeling }, faults) => {
  if (dataset?.task !== 'regression' || !labeling?.pseudo) return;
  addFault(faults, 'labeling.pseudo', { found: 'pseudo-labels with the task regression', allowed: 'null, or classes' });
};

const checkAsk: Check = ({ dataset, labeling }, faults) => {
  if (dataset?.task !== 'regression' || labeling?.ask !== 'suspects') return;
  addFault(faults, 'labeling.ask', {
    found: '"suspects", which needs classes, with the task regression',
    allowed: 'unlabelled or { keys: […] }',
  });
};

const checkServing: Check = ({ serving, trainers }, faults) => {
  if (serving?.variant !== 'int8') return;
  const without = (trainers ?? []).find((trainer) => trainer?.type && !int8Trainers.includes(trainer.type));
  if (!without) return;
  addFault(faults, 'serving.variant', {
    found: `"int8" with the trainer ${without.type}, which has no int8 form`,
    allowed: 'float32, auto',
  });
};

const checkTreated: Check = ({ features, trainers }, faults) => {
  const types = (trainers ?? []).flatMap((trainer) => (trainer?.type === undefined ? [] : [trainer.type]));
  checkTreatments((features ?? {}) as Partial<WrittenFeatures>, types, faults);
};

const checkChecks: Check = ({ dataset, gate }, faults) => {
  const { task, key, label } = dataset ?? {};
  checkFaults((gate?.checks ?? []) as (ReadCheck | undefined)[], { task, key, label }, faults);
};

const checkChanges: Check = ({ gate, features }, faults) => {
  const types = (features?.types ?? {}) as Partial<Record<string, ColumnType>>;
  typeFaults((gate?.checks ?? []) as (ReadCheck | undefined)[], types, faults);
};

/** The same candidate again would cost a training and change nothing. */
const checkCandidates: Check = ({ trainers }, faults) => {
  const written = (trainers ?? []).map((trainer) => (trainer === undefined ? undefined : JSON.stringify(trainer)));
  for (const [index, one] of written.entries()) {
    const first = one === undefined ? index : written.indexOf(one);
    if (first === index) continue;
    const found = `the same candidate as trainer[${first}]`;
    addFault(faults, `trainer[${index}]`, { found, allowed: 'each once; they may differ in params, seed or pool' });
  }
};

const checks: Check[] = [
  checkMetric,
  checkBounds,
  checkFeatures,
  checkTreated,
  checkColumns,
  checkSplit,
  checkStrategy,
  checkPseudo,
  checkAsk,
  checkServing,
  checkChecks,
];

/** What pipelines could have before it was refused: they go on as they are. */
const checksOfPosted: Check[] = [checkChanges, checkCandidates];

/**
 * Never throws. Faults come in the order of the table, the ones between fields last; the same input gives the same answer.
 * `stored`: older software took the source. What is only refused since, though it does no harm, is no fault then.
 */
export function parsePipeline(value: unknown, { stored = false }: { stored?: boolean } = {}): ParsedPipeline {
  const faults: FieldFault[] = [];
  const read = readDocument(value, '', faults);
  const asked = stored ? checks : [...checks, ...checksOfPosted];
  if (read) for (const check of asked) check(read as Partly<ReadDocument>, faults, value);
  if (!read || faults.length > 0) return { faults };
  const strategy = read.labeling?.strategy ?? (read.dataset.task === 'regression' ? 'random' : 'margin');
  const { by } = read.split;
  const { include, exclude, types, ...written } = read.features;
  const trainerTypes = read.trainers.map(({ type }) => type);
  return {
    document: {
      ...read,
      features: { include, exclude, types, ...filledTreatments(written, trainerTypes) },
      split: { ...read.split, by: by.kind === 'group' && by.column === read.dataset.key ? { kind: 'key' } : by },
      gate: { ...read.gate, checks: resolvedChecks(read.gate.checks, read.gate.metric) },
      labeling: read.labeling && { ...read.labeling, strategy },
    },
  };
}

/** These belong to the pipeline and its dataset: all runs must agree on them, or they mean nothing inside one run. */
const fixed = ['name', 'dataset', 'split', 'triggers'] as const;

/** `gate.checks[0].command` as the names and numbers on the way. */
export function segmentsOf(path: string): string[] {
  return path.split(/[.[\]]+/).filter((segment) => segment !== '');
}

/** Sets one dotted path in `root`; says what is in the way, or null. Objects on the way are made, list items are not. */
function setPath(root: Record<string, unknown>, segments: string[], value: Json): string | null {
  let place: unknown = root;
  for (const [depth, segment] of segments.entries()) {
    const last = depth === segments.length - 1;
    if (segment === '__proto__') return 'a name that no field has';
    if (Array.isArray(place)) {
      const index = /^\d{1,4}$/.test(segment) ? Number(segment) : -1;
      if (index < 0 || index >= place.length)
        return `a list of ${place.length}; write [0] to [${place.length - 1}] after its name`;
      if (last) place[index] = value;
      else place = place[index];
    } else if (isRecord(place)) {
      if (last) place[segment] = value;
      else {
        if (!Object.hasOwn(place, segment)) place[segment] = {};
        place = place[segment];
      }
    } else return `${described(place)} on the way`;
  }
  return null;
}

/** The same fault under the override that made it, so that the sender finds it in what was sent. */
function atOverride(fault: FieldFault, keys: string[], known: Set<string>): FieldFault {
  const segments = segmentsOf(fault.path).join('.');
  for (const key of keys) {
    const own = segmentsOf(key).join('.');
    if (segments === own || segments.startsWith(`${own}.`)) return { ...fault, path: `overrides.${fault.path}` };
    if (own.startsWith(`${segments}.`) && !known.has(fault.path)) return { ...fault, path: `overrides.${key}` };
  }
  return fault;
}

/**
 * The document of one run: the pipeline's source (as sent, JSON) with some dotted paths replaced, such as
 * `trainer.params.epochs` or, in a list, `trainer[1].seed`. Faults lie at `overrides.<path>`. `source` stays as it is.
 */
export function applyOverrides(source: Json, overrides: Record<string, Json>): ParsedPipeline {
  const keys = Object.keys(overrides);
  if (keys.length === 0) return parsePipeline(source, { stored: true });
  const copy: unknown = JSON.parse(JSON.stringify(source));
  const before = parsePipeline(source, { stored: true });
  if (!isRecord(copy)) return before;
  const faults: FieldFault[] = [];
  for (const key of keys) {
    const path = `overrides.${key}`;
    const segments = segmentsOf(key);
    const owner = fixed.find((word) => word === segments[0]);
    if (segments.length === 0)
      addFault(faults, path, { found: 'an empty path', allowed: 'such as trainer.params.epochs' });
    else if (owner)
      addFault(faults, path, { found: `${owner}, which all runs share`, allowed: 'change it in the pipeline' });
    else {
      const blocked = setPath(copy, segments, JSON.parse(JSON.stringify(overrides[key] ?? null)) as Json);
      if (blocked !== null) addFault(faults, path, { found: blocked, allowed: 'the path of a field' });
    }
  }
  const known = new Set('faults' in before ? before.faults.map((fault) => fault.path) : []);
  const after = parsePipeline(copy, { stored: true });
  if ('faults' in after) faults.push(...after.faults.map((fault) => atOverride(fault, keys, known)));
  return faults.length > 0 ? { faults } : after;
}

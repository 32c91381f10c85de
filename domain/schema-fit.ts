// Where a document does not fit the columns of its data: known once rows were read, and said before anything is trained.
import type { Check } from './check.js';
import type { Schema } from './dataset.js';
import { changeFaults } from './document-checks.js';
import { Failure, type FieldFault } from './failures.js';
import { addFault, described, isRecord } from './fields.js';
import { nearestWord } from './nearest.js';
import type { FeatureSelection, PipelineDocument } from './pipeline.js';
import { featureColumns } from './signature.js';

/** Faults and columns told one by one. */
const told = 10;

type Named = [path: string, column: string];

/** Those that no column has. Key and label may be named: they are columns, though no features. */
function unknown(schema: Schema, names: Named[]): FieldFault[] {
  const columns = schema.columns.map(({ name }) => name);
  const known = new Set([...columns, schema.key, schema.label]);
  const faults: FieldFault[] = [];
  for (const [path, name] of names) {
    if (known.has(name)) continue;
    const more = columns.length > told ? ` and ${columns.length - told} more` : '';
    const allowed = `a column of the data: ${columns.slice(0, told).join(', ')}${more}`;
    addFault(faults, path, { found: described(name), allowed, nearest: nearestWord(name, columns) });
  }
  return faults;
}

/** Names under `features.include`, `exclude` and `types` that no column has. */
export function unknownColumns(schema: Schema, { include, exclude, types }: FeatureSelection): FieldFault[] {
  return unknown(schema, [
    ...(include ?? []).map((name, index): Named => [`features.include[${index}]`, name]),
    ...exclude.map((name, index): Named => [`features.exclude[${index}]`, name]),
    ...Object.keys(types).map((name): Named => [`features.types.${name}`, name]),
  ]);
}

/** Names of columns in the rest of the document that no column has: they would fail a run when all is trained. */
export function unknownElsewhere(schema: Schema, { features, trainers, evaluation }: PipelineDocument): FieldFault[] {
  const monotone = trainers.flatMap((trainer, index): Named[] => {
    const path = `trainer${trainers.length > 1 ? `[${index}]` : ''}.params.monotone`;
    const named = trainer.type === 'command' ? null : trainer.params['monotone'];
    return isRecord(named) ? Object.keys(named).map((name): Named => [`${path}.${name}`, name]) : [];
  });
  return unknown(schema, [
    ...Object.keys(features.columns).map((name): Named => [`features.columns.${name}`, name]),
    ...evaluation.slices.map((name, index): Named => [`evaluation.slices[${index}]`, name]),
    ...monotone,
  ]);
}

/** Changes of invariance checks that mean nothing for the type of their column, where that is a feature. */
export function unfitChanges(schema: Schema, features: FeatureSelection, checks: readonly Check[]): FieldFault[] {
  const types = new Map(featureColumns(schema, features).map(({ name, type }) => [name, type]));
  const faults: FieldFault[] = [];
  for (const [index, check] of checks.entries()) {
    const type = check.kind === 'invariance' ? types.get(check.column) : undefined;
    if (check.kind !== 'invariance' || type === undefined) continue;
    for (const found of changeFaults(check, type)) {
      const allowed = `changes of a ${type}, which ${check.column} is`;
      addFault(faults, `gate.checks[${index}].invariance.changes`, { found, allowed });
    }
  }
  return faults;
}

/** @throws Failure `SchemaMismatch` with every fault */
export function requireFit(faults: FieldFault[]): void {
  if (faults.length === 0) return;
  const lines = faults.slice(0, told).map(({ path, message }) => `${path}: ${message}`);
  const more = faults.length > told ? `; and ${faults.length - told} more` : '';
  throw new Failure('SchemaMismatch', `${lines.join('; ')}${more}`, { faults });
}

// Labelled rows to be asked about again: those whose label confident learning suspects, or those that somebody named.
import { identifier, sqlLiteral } from '../../adapters/duckdb.js';
import { relabelledKeys } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import { Failure } from '../../domain/failures.js';
import { keysOf, unknownKeys } from '../../domain/label-ask.js';
import type { PickedTask } from '../../domain/label-pick.js';
import { type JudgedRows, pickSuspects } from '../../domain/label-suspects.js';
import type { AskReason, Suggestion } from '../../domain/labeling.js';
import type { Labeling } from '../../domain/document-labeling.js';
import type { StepInput } from '../../domain/run.js';
import { labelledVersion } from '../../domain/steps.js';
import { argMax } from '../../stats/rank.js';
import { type FoldDeps, outOfSample } from './folds.js';
import { guessesBy } from './known.js';
import { type ChosenModel, chooseModel } from './pool.js';

/** A row to ask about, and the label that it has. */
export interface AskedRow extends Omit<PickedTask, 'reason'> {
  reason: AskReason;
  given: string | null;
}

/** What a batch asks about, and why. */
export interface AskedRows {
  picks: AskedRow[];
  suggestions: Map<string, Suggestion>;
  /** As `suggestions`, of labelled rows that are no picks: tests of the labelers. */
  guess(keys: readonly string[]): Promise<Map<string, Suggestion>>;
  /** That the model knows. */
  classes: string[];
  /** How they were chosen, for the step's summary. */
  how: string;
  /** What is said where there are no picks. */
  nothing: string;
}

/** The most suspicious first; rows that people have looked at before are not among them. */
export async function askSuspects(
  deps: FoldDeps,
  input: StepInput,
  asked: Labeling & { seed: number; dataset: string },
): Promise<AskedRows> {
  const { document } = await runSpecification(deps.db, input.context.run);
  // the folds stay as they are from run to run, so that a suspicion does not come and go with them
  const rows = await outOfSample(deps, input, document.split.seed);
  const none = {
    picks: [],
    suggestions: new Map(),
    guess: () => Promise.resolve(new Map()),
    classes: [],
    how: 'suspects',
  };
  if (!rows) return { ...none, nothing: 'too few rows of the training part have a label to suspect any' };
  const done = await relabelledKeys(deps.db, asked.dataset);
  const found = pickSuspects(rows, { ...asked, done });
  return {
    picks: found.map(({ guess: _, ...pick }) => pick),
    suggestions: new Map(found.map(({ key, guess }) => [key, guess])),
    guess: (keys) => Promise.resolve(guessesAmong(rows, keys)),
    classes: rows.classes,
    how: `suspects among ${rows.keys.length} labels, by models that have not seen them`,
    nothing: `no label of ${rows.keys.length} is suspected`,
  };
}

/** Exactly the named rows, in their order, of any part. @throws Failure `RowsUnknown` */
export async function askNamed(deps: FoldDeps, input: StepInput, labeling: Labeling): Promise<AskedRows> {
  const keys = keysOf(labeling.ask) ?? [];
  const { document } = await runSpecification(deps.db, input.context.run);
  const file = await deps.artifacts.localPath(labelledVersion(input).file);
  const [key, label] = [identifier(document.dataset.key), identifier(document.dataset.label)];
  const rows = await deps.duck.query<{ key: string; label: string | null }>(
    `SELECT ${key} AS key, ${label} AS label FROM read_parquet(${sqlLiteral(file)})
      WHERE ${key} IN (${keys.map(sqlLiteral).join(', ')})`,
  );
  const given = new Map(rows.map((row) => [row.key, row.label]));
  const faults = unknownKeys(keys, new Set(given.keys()), 'labeling.ask.keys');
  const [first] = faults;
  if (first) throw new Failure('RowsUnknown', `${first.path}: ${first.message}`, { faults });
  const model = await guessing(deps, input, labeling);
  const guess = (some: readonly string[]) => guessesBy(deps, input, model, some);
  const suggestions = await guess(keys);
  const classes = model?.signature.classes ?? [];
  const why = { reason: 'named' as const, score: null, probability: null };
  const picks = keys.map((one) => ({ key: one, given: given.get(one) ?? null, ...why }));
  return { picks, suggestions, guess, classes, how: 'rows by key', nothing: '' };
}

/** Null where people are shown no guess, and where none can be had. */
async function guessing(deps: FoldDeps, input: StepInput, labeling: Labeling): Promise<ChosenModel | null> {
  const { document } = await runSpecification(deps.db, input.context.run);
  const wanted = document.dataset.task === 'classification' && labeling.policy.suggestion !== 'none';
  return wanted ? chooseModel(deps, input) : null;
}

/** What models that have not seen their labels take rows for. */
function guessesAmong(
  { keys, classes, probabilities }: JudgedRows,
  wanted: readonly string[],
): Map<string, Suggestion> {
  const some = new Set(wanted);
  return new Map(
    keys.flatMap((key, row): [string, Suggestion][] => {
      if (!some.has(key)) return [];
      const best = argMax(probabilities, row * classes.length, classes.length);
      return [[key, { label: classes[best] ?? '', confidence: probabilities[row * classes.length + best] ?? 0 }]];
    }),
  );
}

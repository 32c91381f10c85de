// The registry (architecture, rule 7): versions are immutable and one per run; a name moves by compare-and-set, with history.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { type Variant, variantFiles, type VariantReport, variants } from '../domain/variant.js';
import { appendAudit } from './audit.js';
import { atomically, json, mustRow, row, rows, type Tx } from './client.js';
import type { MoveKind } from './schema/model.js';

export {
  aliasHistory,
  listModels,
  modelVersionView,
  modelView,
  versionFile,
  type AliasMove,
  type ModelVersionView,
  type ModelView,
} from './model-view.js';

export interface Champion {
  version: number;
  /** Of the version: of all its files. */
  digest: Digest;
  /** The variant that answers, its bytes and golden rows. */
  served: Variant;
  modelFile: Digest;
  golden: Digest;
  features: Digest;
  /** Training state; null where it was not made by training. */
  state: Digest | null;
  run: string;
  datasetVersion: Digest;
  /** The eight kinds. */
  details: Json;
}

/** The path of a file of the variant that `v` serves. */
const servedPath = (file: 'model' | 'golden') =>
  sql`case v.served ${sql.join(
    variants.map((variant) => sql`when ${variant} then ${variantFiles[variant][file]}`),
    sql` `,
  )} end`;

const championOf = sql`select v.version, v.digest, v.run, v.served, v.dataset_version as "datasetVersion", v.details,
    (select digest from model_file f
      where f.model = v.model and f.version = v.version and path = ${servedPath('model')}) as "modelFile",
    (select digest from model_file f
      where f.model = v.model and f.version = v.version and path = ${servedPath('golden')}) as golden,
    (select digest from model_file f where f.model = v.model and f.version = v.version and path = 'features.json')
      as features,
    (select digest from model_file f where f.model = v.model and f.version = v.version and path = 'checkpoint.state')
      as state
  from alias a join model_version v on v.model = a.model and v.version = a.version
    join model m on m.id = a.model
  where a.name = 'champion'`;

/** The champion of a model by id, or null. */
export async function champion(tx: Tx, model: string): Promise<Champion | null> {
  return row<Champion>(tx, sql`${championOf} and a.model = ${model}`);
}

/** The champion of a model by name, or null. @throws Failure `NotFound` when there is no such model */
export async function championByName(tx: Tx, project: string, name: string): Promise<Champion | null> {
  const found = await row<Champion>(tx, sql`${championOf} and m.project = ${project} and m.name = ${name}`);
  if (found === null) await modelId(tx, project, name);
  return found;
}

export interface NewVersion {
  /** Id of the model. */
  model: string;
  run: string;
  /** Of all its files. */
  digest: Digest;
  files: { path: string; digest: Digest; sizeBytes: number; mediaType: string }[];
  /** On the holdout. */
  metrics: Record<string, number>;
  datasetVersion: Digest;
  /** The eight kinds (DESIGN, Registry). */
  details: Json;
  card: Digest;
  /** Default: float32 alone, unmeasured. */
  variants?: VariantReport[];
  served?: Variant;
}

/**
 * Registers the version of a run; the run again gives the same version.
 * @throws Failure `NotFound`; DatabaseFault when a file or the dataset version has no row
 */
export async function registerVersion(tx: Tx, made: NewVersion): Promise<{ version: number; digest: Digest }> {
  return atomically(tx, (inner) => registerOnce(inner, made));
}

async function registerOnce(tx: Tx, made: NewVersion): Promise<{ version: number; digest: Digest }> {
  const { model, run, digest } = made;
  const { project, name } = await lockModel(tx, model);
  const before = await row<{ version: number; digest: Digest }>(
    tx,
    sql`select version, digest from model_version where run = ${run}`,
  );
  if (before !== null) return before;
  const { served = 'float32', variants: measured = [] } = made;
  for (const path of Object.values(variantFiles[served])) {
    if (!made.files.some((file) => file.path === path)) throw new Failure('Internal', `${served} without ${path}`);
  }
  const { version } = await mustRow<{ version: number }>(
    tx,
    sql`update model set last_version = last_version + 1 where id = ${model} returning last_version as version`,
  );
  const inserted = await row(
    tx,
    sql`insert into model_version
        (model, version, run, digest, metrics, dataset, dataset_version, details, card, variants, served)
      select ${model}, ${version}, r.id, ${digest}, ${json(made.metrics)}, r.dataset, ${made.datasetVersion},
        ${JSON.stringify(made.details)}::jsonb, ${made.card}, ${json(measured)},
        ${served}
      from run r where r.id = ${run} returning 1`,
  );
  if (inserted === null) throw new Failure('NotFound', `there is no run ${run}`);
  await rows(
    tx,
    sql`insert into model_file (model, version, path, digest, size_bytes, media_type)
      select ${model}, ${version}, path, digest, size, type from jsonb_to_recordset(${json(
        made.files.map((file) => ({ ...file, size: file.sizeBytes, type: file.mediaType })),
      )}) as f (path text, digest text, size bigint, type text)`,
  );
  const action = 'model.registered';
  const subject = `${name}/${version}`;
  await appendAudit(tx, { project, actor: run, verified: true, action, subject, details: { run, digest } });
  return { version, digest };
}

export interface AliasMoveRequest {
  /** Id of the model. */
  model: string;
  alias: 'champion';
  to: number;
  /** The version that must be there now; null: none. */
  expectedFrom: number | null;
  decisionId: string;
  kind: MoveKind;
  by: string;
  /** Default true. */
  verified?: boolean;
  reason: string | null;
}

/**
 * Moves a name from the expected version to another; the same decision id gets the first answer.
 * @throws Failure `NotFound`, `ChampionMoved` with the present `champion`
 */
export async function moveAlias(tx: Tx, move: AliasMoveRequest): Promise<{ version: number }> {
  return atomically(tx, async (inner) => {
    const model = await lockModel(inner, move.model);
    const before = await decided(inner, move.model, move.decisionId);
    if (before !== null) return { version: before };
    await moveHeld(inner, model, move);
    return { version: move.to };
  });
}

interface ModelRow {
  id: string;
  project: string;
  name: string;
}

async function moveHeld(tx: Tx, model: ModelRow, move: AliasMoveRequest): Promise<void> {
  const { alias, to, expectedFrom, decisionId, kind, by, reason, verified = true } = move;
  const present = await presentVersion(tx, model.id);
  if (present !== expectedFrom) {
    const found = present === null ? 'there is none' : `it is version ${present}`;
    throw new Failure('ChampionMoved', `the champion of ${model.name} is another than expected: ${found}`, {
      members: { champion: present },
    });
  }
  const known = await row(tx, sql`select 1 from model_version where model = ${model.id} and version = ${to}`);
  if (known === null) throw new Failure('NotFound', `${model.name} has no version ${to}`);
  await rows(
    tx,
    sql`with numbered as (
        update model set last_move = last_move + 1 where id = ${model.id} returning last_move
      ), noted as (
        insert into alias_history (model, number, name, from_version, to_version, kind, decision_id, by, verified, reason)
        select ${model.id}, last_move, ${alias}, ${expectedFrom}::int, ${to}, ${kind}, ${decisionId}, ${by}, ${verified},
          ${reason} from numbered
      )
      insert into alias (model, name, version) values (${model.id}, ${alias}, ${to})
      on conflict (model, name) do update set version = excluded.version, moved_at = now()`,
  );
  await appendAudit(tx, {
    project: model.project,
    actor: by,
    verified,
    action: kind === 'rollback' ? 'model.rolled-back' : 'model.promoted',
    subject: `${model.name}/${to}`,
    details: { alias, from: expectedFrom, to, decisionId, reason },
  });
}

export interface RollbackRequest {
  project: string;
  /** Name. */
  model: string;
  /** One that was champion before; absent: the one before the present. */
  to?: number;
  by: string;
  verified: boolean;
  reason: string | null;
  decisionId: string;
}

/**
 * Makes an earlier champion the champion again; the same decision id gets the first answer.
 * @throws Failure `NotFound`, `NothingToRollBackTo`
 */
export async function rollback(tx: Tx, request: RollbackRequest): Promise<{ champion: number }> {
  return atomically(tx, async (inner) => {
    const model = await lockModel(inner, await modelId(inner, request.project, request.model));
    const before = await decided(inner, model.id, request.decisionId);
    if (before !== null) return { champion: before };
    const history = await rows<Move>(
      inner,
      sql`select number, kind, from_version as "from", to_version as "to" from alias_history
        where model = ${model.id} and name = 'champion' order by number`,
    );
    const to = request.to === undefined ? championBefore(history) : earlierChampion(history, request.to);
    if (to === null) throw new Failure('NothingToRollBackTo', `${model.name} has no such earlier champion`);
    const { decisionId, by, verified, reason } = request;
    const expectedFrom = history.at(-1)!.to;
    const move = { model: model.id, alias: 'champion', to, expectedFrom, kind: 'rollback' } as const;
    await moveHeld(inner, model, { ...move, decisionId, by, verified, reason });
    return { champion: to };
  });
}

interface Move {
  number: number;
  kind: MoveKind;
  from: number | null;
  to: number;
}

// a rollback puts the model back to where an earlier promotion had put it: the target is what that promotion replaced
function championBefore(history: Move[]): number | null {
  let standing: Move | undefined;
  for (const move of history) {
    if (move.kind === 'promotion') standing = move;
    else {
      const promotions = history.filter((other) => other.kind === 'promotion' && other.to === move.to);
      const limit = standing?.number ?? move.number;
      standing =
        promotions.findLast((other) => other.number < limit) ??
        promotions.findLast((other) => other.number < move.number);
    }
  }
  return standing?.from ?? null;
}

// never to a version that no gate and no person let through
function earlierChampion(history: Move[], version: number): number | null {
  const present = history.at(-1)?.to;
  const promoted = history.some((move) => move.kind === 'promotion' && move.to === version);
  return promoted && version !== present ? version : null;
}

async function decided(tx: Tx, model: string, decisionId: string): Promise<number | null> {
  const before = await row<{ version: number }>(
    tx,
    sql`select to_version as version from alias_history where model = ${model} and decision_id = ${decisionId}`,
  );
  return before?.version ?? null;
}

async function presentVersion(tx: Tx, model: string): Promise<number | null> {
  const present = await row<{ version: number }>(
    tx,
    sql`select version from alias where model = ${model} and name = 'champion'`,
  );
  return present?.version ?? null;
}

async function lockModel(tx: Tx, model: string): Promise<ModelRow> {
  const held = await row<ModelRow>(tx, sql`select id, project, name from model where id = ${model} for no key update`);
  if (held === null) throw new Failure('NotFound', `there is no model ${model}`);
  return held;
}

async function modelId(tx: Tx, project: string, name: string): Promise<string> {
  const found = await row<{ id: string }>(tx, sql`select id from model where project = ${project} and name = ${name}`);
  if (found === null) throw new Failure('NotFound', `there is no model ${name}`);
  return found.id;
}

// Models and versions as clients see them, with the lineage of a version down to its labels.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import type { LabelSource } from '../domain/dataset.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { type Variant, variantFiles, type VariantReport } from '../domain/variant.js';
import { iso, row, rows, type Tx } from './client.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';
import type { MoveKind } from './schema/model.js';

export interface ModelView {
  name: string;
  aliases: Record<string, number>;
  /** The latest first. */
  versions: {
    version: number;
    run: string;
    digest: Digest;
    metrics: Record<string, number>;
    createdAt: string;
  }[];
}

const stored = sql`select m.name,
    (select coalesce(jsonb_object_agg(a.name, a.version), '{}') from alias a where a.model = m.id) as aliases,
    (select coalesce(jsonb_agg(jsonb_build_object('version', v.version, 'run', v.run, 'digest', v.digest,
        'metrics', v.metrics, 'createdAt', v.created_at) order by v.version desc), '[]')
      from model_version v where v.model = m.id) as versions
  from model m`;

/** One model. @throws Failure `NotFound` */
export async function modelView(tx: Tx, project: string, name: string): Promise<ModelView> {
  const found = await row<ModelView>(tx, sql`${stored} where m.project = ${project} and m.name = ${name}`);
  if (found === null) throw new Failure('NotFound', `there is no model ${name}`);
  return toView(found);
}

/** Models by name. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listModels(tx: Tx, project: string, page: PageRequest): Promise<Page<ModelView>> {
  const [after] = readCursor(page, ['text']) ?? [''];
  const found = await rows<ModelView>(
    tx,
    sql`${stored} where m.project = ${project} and m.name > ${after} order by m.name limit ${page.limit + 1}`,
  );
  return toPage(found, page, (model) => [model.name], toView);
}

function toView(found: ModelView): ModelView {
  return {
    ...found,
    versions: found.versions.map((version) => ({ ...version, createdAt: iso(version.createdAt) })),
  };
}

export interface ModelVersionView {
  model: string;
  version: number;
  run: string;
  digest: Digest;
  createdAt: string;
  metrics: Record<string, number>;
  files: { path: string; digest: Digest; sizeBytes: number; mediaType: string }[];
  /** The one that answers. */
  servedVariant: Variant;
  variants: {
    name: Variant;
    file: string;
    sha256: Digest;
    sizeBytes: number;
    /** Share of the holdout rows on which it answers as float32 does. */
    agreement: number;
    latency: VariantReport['latency'];
    served: boolean;
  }[];
  /** The model card. */
  card: Digest;
  /** The eight kinds (DESIGN, Registry). */
  details: Json;
  lineage: {
    /** The version that it was trained on, then that one's ancestors. */
    datasetVersions: { id: Digest; version: number; rows: number; run: string; parents: Digest[] }[];
    labelCounts: Record<LabelSource, number>;
    annotators: string[];
    /** The version whose training state this one's training began with. */
    warmStart: { version: number; state: Digest } | null;
  };
}

interface StoredVersion extends Omit<ModelVersionView, 'lineage' | 'variants'> {
  variants: VariantReport[];
  dataset: string;
  datasetVersion: Digest;
  labelCounts: Record<LabelSource, number>;
  annotators: string[];
  warmStart: ModelVersionView['lineage']['warmStart'];
}

/** One version with everything that is known about it. @throws Failure `NotFound` */
export async function modelVersionView(
  tx: Tx,
  project: string,
  name: string,
  version: number,
): Promise<ModelVersionView> {
  const found = await row<StoredVersion>(
    tx,
    sql`select m.name as model, v.version, v.run, v.digest, v.created_at as "createdAt", v.metrics, v.card, v.details, v.variants,
        nullif(v.details #> '{code,warmStart}', 'null') as "warmStart",
        v.served as "servedVariant",
        v.dataset, v.dataset_version as "datasetVersion", d.label_counts as "labelCounts", d.annotators,
        (select coalesce(jsonb_agg(jsonb_build_object('path', f.path, 'digest', f.digest, 'sizeBytes', f.size_bytes,
            'mediaType', f.media_type) order by f.path), '[]')
          from model_file f where f.model = v.model and f.version = v.version) as files
      from model m join model_version v on v.model = m.id
        join dataset_version d on d.dataset = v.dataset and d.digest = v.dataset_version
      where m.project = ${project} and m.name = ${name} and v.version = ${version}`,
  );
  if (found === null) throw new Failure('NotFound', `the model ${name} has no version ${version}`);
  const { dataset, datasetVersion, labelCounts, annotators, warmStart, variants, ...rest } = found;
  const datasetVersions = await ancestors(tx, dataset, datasetVersion);
  return {
    ...rest,
    createdAt: iso(rest.createdAt),
    variants: variants.map(({ variant: name, model, golden: _golden, ...measured }) => ({
      ...{ name, file: variantFiles[name].model, sha256: model, served: name === rest.servedVariant },
      ...measured,
    })),
    lineage: { datasetVersions, labelCounts, annotators, warmStart: warmStart ?? null },
  };
}

// union, not union all: equal content may come back, and then a version is its own ancestor
async function ancestors(
  tx: Tx,
  dataset: string,
  digest: Digest,
): Promise<ModelVersionView['lineage']['datasetVersions']> {
  return rows(
    tx,
    sql`with recursive line as (
        select digest from dataset_version where dataset = ${dataset} and digest = ${digest}
        union
        select p.digest from line l join dataset_version c on c.dataset = ${dataset} and c.digest = l.digest
          cross join lateral jsonb_array_elements_text(c.parents) as p (digest)
      )
      select d.digest as id, d.version, d.rows, d.run, d.parents
      from line join dataset_version d on d.dataset = ${dataset} and d.digest = line.digest
      order by d.digest <> ${digest}, d.version desc`,
  );
}

/** One file of a version. @throws Failure `NotFound` */
export async function versionFile(
  tx: Tx,
  project: string,
  name: string,
  version: number,
  path: string,
): Promise<{ digest: Digest; sizeBytes: number; mediaType: string }> {
  const found = await row<{ digest: Digest; sizeBytes: number; mediaType: string }>(
    tx,
    sql`select f.digest, f.size_bytes::float8 as "sizeBytes", f.media_type as "mediaType"
      from model m join model_file f on f.model = m.id
      where m.project = ${project} and m.name = ${name} and f.version = ${version} and f.path = ${path}`,
  );
  if (found === null) throw new Failure('NotFound', `version ${version} of ${name} has no file ${path}`);
  return found;
}

export interface AliasMove {
  number: number;
  alias: string;
  /** Null: there was none. */
  from: number | null;
  to: number;
  kind: MoveKind;
  by: string;
  verified: boolean;
  reason: string | null;
  at: string;
}

/** Who was champion when: the moves of a model's names, the latest first. @throws Failure `NotFound` */
export async function aliasHistory(tx: Tx, project: string, name: string, page: PageRequest): Promise<Page<AliasMove>> {
  const [before] = readCursor(page, ['number']) ?? [2_147_483_647];
  const model = await row<{ id: string }>(tx, sql`select id from model where project = ${project} and name = ${name}`);
  if (model === null) throw new Failure('NotFound', `there is no model ${name}`);
  const found = await rows<AliasMove>(
    tx,
    sql`select number, name as alias, from_version as "from", to_version as "to", kind, by, verified, reason, at
      from alias_history where model = ${model.id} and number < ${before}
      order by number desc limit ${page.limit + 1}`,
  );
  return toPage(
    found,
    page,
    (move) => [move.number],
    (move) => ({ ...move, at: iso(move.at) }),
  );
}

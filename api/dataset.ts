// Datasets: what they are, their frozen versions, and rows that arrive as a file or as JSON.
import { z } from '@hono/zod-openapi';
import { datasetOf, listDatasetVersions, type DatasetRow, type DatasetVersionRow } from '../db/dataset.js';
import { listPipelines } from '../db/pipeline.js';
import { formats, tasks } from '../domain/dataset.js';
import { rowsLimitBytes } from './body.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { actorOf } from './identity.js';
import { listSchema, momentSchema, nameSchema, pageFields, pageOf } from './schemas.js';
import { ingestFile, ingestRows } from './upload.js';

const datasetSchema = z
  .looseObject({
    name: z.string(),
    key: z.string(),
    label: z.string(),
    task: z.enum(tasks),
    acceptedRows: z.int().openapi({ description: 'Rows accepted by the two POSTs, ever' }),
    lastIngest: z.int(),
    schema: z.unknown().openapi({ description: 'null before the first accepted one' }),
  })
  .openapi('Dataset');
const versionSchema = z
  .looseObject({
    version: z.int(),
    digest: z.string(),
    rows: z.int(),
    superseded: z
      .looseObject({ at: momentSchema, reason: z.string(), autoBatch: z.string(), campaign: z.string() })
      .nullable()
      .openapi({ description: 'It holds automatic labels that people have disproved since; null: it does not' }),
  })
  .openapi('DatasetVersion');
const acceptedSchema = z
  .looseObject({
    accepted: z.int(),
    quarantined: z.int().openapi({ description: 'Rows that could not be parsed' }),
    ingest: z.int(),
    faults: z.array(z.object({ row: z.int(), message: z.string() })).openapi({ description: 'The first 20' }),
  })
  .openapi('Accepted');

const nameParam = { name: nameSchema };
const dataProblems = [
  'DuplicateKeys',
  'DatasetEmpty',
  'WrongFormat',
  'TooManyColumns',
  'KeyColumnMissing',
  'StoreFull',
  'DiskFull',
] as const;

function shown({ id: _, project: __, ...dataset }: DatasetRow) {
  return dataset;
}

function shownVersion({ dataset: _, ...version }: DatasetVersionRow) {
  return version;
}

function arrivals(): Endpoint[] {
  const tag = 'datasets';
  const answers = { 202: { description: 'Kept; the next run reads them', schema: acceptedSchema } };
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/datasets/{name}/files',
        tag,
        summary: 'Push a file: the body is the file, gzip and zstd are recognised',
        role: 'operator',
        params: nameParam,
        query: { format: z.enum(formats) },
        body: z.string().openapi({ format: 'binary' }),
        bodyMode: 'stream',
        idempotent: true,
        answers,
        problems: dataProblems,
      },
      async (request, deps) => {
        const { identity, params, query } = request;
        const dataset = await datasetOf(deps.db, identity.project, params.name);
        const { by } = actorOf(identity, {}, 'by', 'anonymous');
        return ingestFile(request, deps, { dataset, format: query.format, by });
      },
    ),
    endpoint(
      {
        method: 'post',
        path: '/api/v1/datasets/{name}/rows',
        tag,
        summary: 'Push rows: a JSON array of objects',
        role: 'operator',
        params: nameParam,
        body: z
          .array(z.record(z.string(), z.unknown()), { error: 'must be an array of objects' })
          .max(100_000, { error: 'has more than 100000 rows; push a file' })
          .openapi('Rows'),
        limitBytes: rowsLimitBytes,
        idempotent: true,
        answers,
        problems: dataProblems,
      },
      async (request, deps) => {
        const { identity, params } = request;
        const dataset = await datasetOf(deps.db, identity.project, params.name);
        const { by } = actorOf(identity, {}, 'by', 'anonymous');
        return ingestRows(request, deps, { dataset, by });
      },
    ),
  ];
}

export function datasetEndpoints(): Endpoint[] {
  const tag = 'datasets';
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/datasets',
        tag,
        summary: 'Datasets of the pipelines, by pipeline name',
        role: 'viewer',
        query: pageFields,
        answers: { 200: { description: 'A page of datasets', schema: listSchema(datasetSchema) } },
      },
      async ({ identity, query }, deps) => {
        const page = await listPipelines(deps.db, identity.project, pageOf(query));
        const names = page.items.map(({ document, name }) => {
          const declared = (document as { dataset?: { name?: unknown } }).dataset?.name;
          return typeof declared === 'string' ? declared : name;
        });
        const found = await Promise.all([...new Set(names)].map((name) => datasetOf(deps.db, identity.project, name)));
        return { status: 200, body: { items: found.map(shown), nextCursor: page.nextCursor } };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/datasets/{name}',
        tag,
        summary: 'One dataset',
        role: 'viewer',
        params: nameParam,
        answers: { 200: { description: 'The dataset', schema: datasetSchema } },
      },
      async ({ identity, params }, deps) => ({
        status: 200,
        body: shown(await datasetOf(deps.db, identity.project, params.name)),
      }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/api/v1/datasets/{name}/versions',
        tag,
        summary: 'Frozen versions, the latest first',
        role: 'viewer',
        params: nameParam,
        query: pageFields,
        answers: { 200: { description: 'A page of versions', schema: listSchema(versionSchema) } },
      },
      async ({ identity, params, query }, deps) => {
        const page = await listDatasetVersions(deps.db, identity.project, params.name, pageOf(query));
        return { status: 200, body: { ...page, items: page.items.map(shownVersion) } };
      },
    ),
    ...arrivals(),
  ];
}

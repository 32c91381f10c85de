// Files of tasks become label batches: Label Studio, COCO, CSV, JSON Lines (docs/labeling.md).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from '@hono/zod-openapi';
import { sqlLiteral } from '../adapters/duckdb.js';
import { parseRows } from '../adapters/rows.js';
import { inScratchFolder } from '../adapters/scratch.js';
import { datasetOf, type DatasetRow } from '../db/dataset.js';
import type { NewTask } from '../db/labeling.js';
import { readCoco } from '../domain/exchange/coco.js';
import { type Brought, exchangeForms, type ExchangeForm, type ReadOptions } from '../domain/exchange/form.js';
import { readLabelStudio } from '../domain/exchange/label-studio.js';
import { csvRecord, jsonLines, readTable } from '../domain/exchange/table.js';
import type { FieldFault } from '../domain/failures.js';
import { isRecord } from '../domain/fields.js';
import { canonicalJson, type Json } from '../domain/json.js';
import {
  checkClasses,
  checkSpace,
  checkTasks,
  goldFitted,
  kindOfTask,
  readSettings,
  type ReadSettings,
} from '../domain/label-request.js';
import { checkValue, decode, parseBody, readBytes, rowsLimitBytes, sha256Of } from './body.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { knownClasses } from './known-classes.js';
import { namedTask, openFor, refuseFaults } from './label-open.js';
import { batchSchema } from './labeling.js';
import { invalid } from './problem.js';
import { nameSchema, personSchema } from './schemas.js';

const query = {
  format: z.enum(exchangeForms),
  dataset: nameSchema,
  deadline: z.string().optional().openapi({ description: 'A duration, such as "3 days"; default 3 days' }),
  settings: z
    .string()
    .optional()
    .openapi({ description: 'JSON: kind, classes, and what else a batch takes beside its tasks' }),
  as: z.enum(['suggestions', 'labels']).optional().openapi({ description: 'COCO: what its boxes are; suggestions' }),
  annotator: personSchema.optional().openapi({ description: 'COCO, as=labels: who drew the boxes' }),
};

interface Query {
  format: ExchangeForm;
  deadline?: string | undefined;
  settings?: string | undefined;
  as?: 'suggestions' | 'labels' | undefined;
  annotator?: string | undefined;
}

function settingsOf({ settings, deadline }: Query): ReadSettings {
  const written = settings === undefined ? {} : parseSettings(settings);
  if (deadline !== undefined && written['deadline'] !== undefined) throw invalid('deadline', 'is given twice');
  const faults: FieldFault[] = [];
  const read = readSettings({ ...written, ...(deadline === undefined ? {} : { deadline }) }, 'settings', faults);
  // the deadline has a parameter of its own
  const own = (path: string) => (deadline !== undefined && path === 'settings.deadline' ? 'deadline' : path);
  refuseFaults(faults.map((fault) => ({ ...fault, path: own(fault.path) })));
  return read!;
}

function parseSettings(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    checkValue(value);
    if (isRecord(value)) return value;
  } catch {
    // told below
  }
  throw invalid('settings', 'must be a JSON object');
}

/** Only COCO's boxes have no annotator of their own. */
function annotatorOf({ format, as, annotator }: Query): string | null {
  if (format !== 'coco' && as !== undefined) throw invalid('as', 'goes with format=coco');
  if ((as === 'labels') !== (annotator !== undefined))
    throw invalid('annotator', 'goes with as=labels, which needs it');
  return annotator ?? null;
}

/** Cells of a CSV file, all of them text. */
async function csvCells(request: ApiRequest, deps: ApiDeps, key: string) {
  return inScratchFolder(join(deps.config.home, 'tmp'), 'import', async (folder) => {
    const path = join(folder, 'body');
    const bytes = await readBytes(request.c.req.raw, rowsLimitBytes);
    // it would be unpacked before anybody could say how large it is
    if (/^(1f8b|28b52ffd)/.test(bytes.toString('hex', 0, 4)))
      throw invalid('', 'the file is compressed: send it as it is');
    await writeFile(path, bytes, { mode: 0o600 });
    const options = { maxColumns: 5_000, outFolder: folder, signal: request.c.req.raw.signal };
    const parse = (name: string) => parseRows(deps.duck, { path, format: 'csv' }, { ...options, key: name });
    const rows = await parse(key).catch((error: unknown) => {
      if (key === 'key' || (error as { failure?: string }).failure !== 'KeyColumnMissing') throw error;
      return parse('key');
    });
    refuseFaults(rows.faults.map(({ row, message }) => ({ path: row === 0 ? '' : `[${row - 1}]`, message })));
    const cells = await deps.duck.query<Record<string, string | null>>(
      `SELECT * FROM read_parquet(${sqlLiteral(rows.path)})`,
    );
    return { cells, digest: sha256Of(bytes) };
  });
}

interface ReadFile {
  content: unknown;
  digest: string;
}

async function readFile(request: ApiRequest, deps: ApiDeps, format: ExchangeForm, key: string): Promise<ReadFile> {
  const faults: FieldFault[] = [];
  if (format === 'csv') {
    const { cells, digest } = await csvCells(request, deps, key);
    const content = cells.map((row, index) => csvRecord(row, { key, path: `[${index}]`, faults }));
    refuseFaults(faults);
    checkValue(content);
    return { content, digest };
  }
  const bytes = await readBytes(request.c.req.raw, rowsLimitBytes);
  const digest = sha256Of(bytes);
  if (format !== 'jsonl') return { content: parseBody(bytes, 'json'), digest };
  const content = jsonLines(decode(bytes), faults);
  refuseFaults(faults);
  checkValue(content);
  return { content, digest };
}

function readerOf(format: ExchangeForm, options: ReadOptions, annotator: string | null) {
  if (format === 'labelStudio') return readLabelStudio(options);
  return format === 'coco' ? readCoco({ ...options, annotator }) : readTable(options);
}

/** Where a task's key stands in the file. */
const keyPlaces: Record<ExchangeForm, { list: string; field: string }> = {
  labelStudio: { list: '', field: 'id' },
  coco: { list: 'images', field: 'id' },
  csv: { list: '', field: 'key' },
  jsonl: { list: '', field: 'key' },
};

/** @throws Failure `InvalidRequest` with every fault */
function bring(content: unknown, sent: Query, dataset: DatasetRow, settings: ReadSettings): Brought {
  const { kind, classes } = settings;
  const options = { kind, classes, fallback: kindOfTask(dataset.task), key: dataset.key };
  const faults: FieldFault[] = [];
  const brought = readerOf(sent.format, options, annotatorOf(sent))(content, '', faults);
  if (brought) {
    checkSpace(brought, dataset.task, faults);
    const { list, field } = keyPlaces[sent.format];
    checkTasks(brought.tasks, list, faults, field);
  }
  refuseFaults(faults);
  return brought!;
}

/**
 * The classes of the batch: those that were named, else the dataset's, else the file's; with `newClasses` the dataset's and the
 * file's. @throws Failure `InvalidRequest` for classes that the dataset does not have
 */
function classesOf({ kind, classes, tasks }: Brought, settings: ReadSettings, known: string[] | null) {
  const faults: FieldFault[] = [];
  const named = settings.classes;
  const labels = tasks.flatMap(({ gold, suggestion, answers }) => [
    ...[gold, suggestion?.label ?? null],
    ...answers.map(({ label }) => label),
  ]);
  const used = [...new Set([...(classes ?? []), ...labels.filter((label) => label !== null)])];
  if (kind !== 'single' || known === null) return classes;
  if (!settings.newClasses) {
    const path = (index: number) => (named === null ? 'settings.classes' : `settings.classes[${index}]`);
    checkClasses(named ?? used, known, { path, faults });
  }
  refuseFaults(faults);
  return named ?? [...new Set([...known, ...used])].sort();
}

export function labelImportEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches/import',
        tag: 'label-batches',
        summary: 'Open a batch of the tasks in a file: the body is the file',
        role: 'operator',
        query,
        body: z.string().openapi({ format: 'binary' }),
        bodyMode: 'stream',
        idempotent: true,
        answers: { 201: { description: 'The batch', schema: batchSchema } },
        problems: ['DuplicateKeys', 'DatasetEmpty', 'WrongFormat', 'TooManyColumns', 'KeyColumnMissing', 'DiskFull'],
      },
      async (request, deps) => {
        const sent = request.query;
        const dataset = await datasetOf(deps.db, request.identity.project, sent.dataset);
        const settings = settingsOf(sent);
        annotatorOf(sent);
        const { content, digest } = await readFile(request, deps, sent.format, dataset.key);
        const brought = bring(content, sent, dataset, settings);
        const { kind, tasks, origin } = brought;
        const classes = classesOf(brought, settings, await knownClasses(deps, dataset, kind));
        const faults: FieldFault[] = [];
        const policy = goldFitted(settings, tasks, { path: 'settings.', faults });
        refuseFaults(faults);
        const { deadlineMs } = settings;
        const bodyDigest = sha256Of(canonicalJson([digest, { ...sent }] as unknown as Json));
        const named = tasks.map(({ source, answers, ...task }): NewTask => ({ ...namedTask(task), source, answers }));
        const batch = { kind, classes, deadlineMs, policy, dataset, tasks: named };
        return openFor({ ...request, bodyDigest }, deps, origin === null ? batch : { ...batch, origin });
      },
    ),
  ];
}

// Label batches as files, sent page by page: never a whole batch in memory.
import { Readable } from 'node:stream';
import { z } from '@hono/zod-openapi';
import type { Db } from '../db/client.js';
import { takenBatch, takenTasks, unsizedTask } from '../db/labeling.js';
import { cocoAnnotations, cocoBatch, cocoImage } from '../domain/exchange/coco.js';
import { exchangeForms, type ExchangeForm, type TakenBatch, type TakenTask } from '../domain/exchange/form.js';
import { labelStudioTask } from '../domain/exchange/label-studio.js';
import { csvHeader, csvLine, tableTask } from '../domain/exchange/table.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { invalid } from './problem.js';
import { idSchema } from './schemas.js';

const pageTasks = 500;

type Pages = () => AsyncGenerator<TakenTask[]>;

function pagesOf(db: Db, batch: string): Pages {
  return async function* () {
    for (let after = -1; ;) {
      const page = await takenTasks(db, batch, after, pageTasks);
      if (page.length > 0) yield page;
      if (page.length < pageTasks) return;
      after = page.at(-1)!.position;
    }
  };
}

/** The items of a JSON list, a line each, without its brackets. */
async function* listItems(pages: Pages, itemsOf: (task: TakenTask) => unknown[]): AsyncGenerator<string> {
  let before = '\n';
  for await (const page of pages()) {
    const items = page.flatMap(itemsOf);
    if (items.length === 0) continue;
    yield before + items.map((item) => JSON.stringify(item)).join(',\n');
    before = ',\n';
  }
}

async function* labelStudioFile(batch: TakenBatch, pages: Pages): AsyncGenerator<string> {
  yield '[';
  yield* listItems(pages, (task) => [labelStudioTask(batch, task)]);
  yield '\n]\n';
}

async function* cocoFile(batch: TakenBatch, pages: Pages): AsyncGenerator<string> {
  const coco = cocoBatch(batch);
  yield `${JSON.stringify(coco.head).slice(0, -1)},\n"images":[`;
  yield* listItems(pages, (task) => [cocoImage(coco, task)]);
  yield '\n],\n"annotations":[';
  yield* listItems(pages, (task) => cocoAnnotations(coco, task));
  yield '\n]}\n';
}

async function* lines(pages: Pages, lineOf: (task: TakenTask) => string): AsyncGenerator<string> {
  for await (const page of pages()) yield page.map(lineOf).join('');
}

async function* csvFile({ kind }: TakenBatch, pages: Pages): AsyncGenerator<string> {
  yield csvHeader;
  yield* lines(pages, (task) => csvLine(kind, task));
}

async function* bytesOf(texts: AsyncGenerator<string>): AsyncGenerator<Buffer> {
  for await (const text of texts) yield Buffer.from(text);
}

interface FileForm {
  mediaType: string;
  ending: string;
  write(batch: TakenBatch, pages: Pages): AsyncGenerator<string>;
}

const fileForms: Record<ExchangeForm, FileForm> = {
  labelStudio: { mediaType: 'application/json', ending: 'json', write: labelStudioFile },
  coco: { mediaType: 'application/json', ending: 'json', write: cocoFile },
  csv: { mediaType: 'text/csv; charset=utf-8', ending: 'csv', write: csvFile },
  jsonl: {
    mediaType: 'application/jsonl',
    ending: 'jsonl',
    write: ({ kind }, pages) => lines(pages, (task) => `${JSON.stringify(tableTask(kind, task))}\n`),
  },
};

/** @throws Failure `InvalidRequest` where COCO cannot hold the batch */
async function checkCoco(deps: ApiDeps, id: string, { kind }: TakenBatch): Promise<void> {
  if (kind !== 'box') throw invalid('format', `coco holds boxes; the labels of this batch are of kind ${kind}`);
  const key = await unsizedTask(deps.db, id);
  if (key !== null) throw invalid('format', `coco needs the numbers width and height in each item; ${key} has none`);
}

export function labelExportEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/label-batches/{id}/export',
        tag: 'label-batches',
        summary: 'The batch as a file: tasks, every answer, what they come to, verdicts',
        role: 'reviewer',
        params: { id: idSchema('bat') },
        query: { format: z.enum(exchangeForms) },
        answers: { 200: { description: 'The file', schema: z.string(), mediaType: 'application/octet-stream' } },
      },
      async ({ identity, params, query }, deps) => {
        const batch = await takenBatch(deps.db, identity.project, params.id);
        if (query.format === 'coco') await checkCoco(deps, params.id, batch);
        const { mediaType, ending, write } = fileForms[query.format];
        const file = Readable.from(bytesOf(write(batch, pagesOf(deps.db, params.id))), { objectMode: false });
        return new Response(Readable.toWeb(file) as ReadableStream, {
          headers: {
            'content-type': mediaType,
            'content-disposition': `attachment; filename="${params.id}.${ending}"`,
            'cache-control': 'no-store',
          },
        });
      },
    ),
  ];
}

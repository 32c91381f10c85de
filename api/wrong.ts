// The rows that a run's model gets wrong on the holdout, the surest mistakes first: to be looked at, and asked about again.
import { z } from '@hono/zod-openapi';
import { toPage, readCursor, type PageRequest } from '../db/page.js';
import { runView } from '../db/run.js';
import type { Evaluation } from '../domain/evaluation.js';
import { Failure } from '../domain/failures.js';
import { mostWrong } from '../domain/wrong-row.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { idSchema, listSchema, pageFields, pageOf } from './schemas.js';

const wrongSchema = z
  .looseObject({
    key: z.string(),
    label: z.string().openapi({ description: 'That the row has' }),
    predicted: z.string(),
    probability: z.number().nullable().openapi({ description: 'That the model gives its answer' }),
  })
  .openapi('WrongRow');

async function wrongPage(deps: ApiDeps, asked: { project: string; run: string; page: PageRequest }) {
  const { project, run, page } = asked;
  const { evaluation } = await runView(deps.db, project, run);
  if (evaluation === null) throw new Failure('NotFound', `the run ${run} has no evaluation`);
  const { wrong } = await deps.artifacts.readJson<Evaluation>(evaluation);
  if (!wrong) throw new Failure('NotFound', `the evaluation of ${run} is of older software, which kept no wrong rows`);
  const [from] = readCursor(page, ['number']) ?? [0];
  const found = wrong.slice(from, from + page.limit + 1).map((row, index) => ({ row, next: from + index + 1 }));
  return toPage(
    found,
    page,
    ({ next }) => [next],
    ({ row }) => row,
  );
}

export function wrongEndpoint(): Endpoint {
  return endpoint(
    {
      method: 'get',
      path: '/api/v1/runs/{id}/wrong',
      tag: 'runs',
      summary: 'Holdout rows that the judged model gets wrong',
      role: 'viewer',
      params: { id: idSchema('run') },
      query: pageFields,
      answers: {
        200: {
          description: `The surest mistakes first, of the ${mostWrong} surest; none for regression`,
          schema: listSchema(wrongSchema),
        },
      },
    },
    async ({ identity, params, query }, deps) => ({
      status: 200,
      body: await wrongPage(deps, { project: identity.project, run: params.id, page: pageOf(query) }),
    }),
  );
}

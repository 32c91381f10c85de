// Opening runs: of a pipeline, and of another run again.
import { z } from '@hono/zod-openapi';
import type { Tx } from '../db/client.js';
import { newId } from '../db/id.js';
import { type OpenedRun, openRerun, openRun, type OpenRun } from '../db/run.js';
import { segmentsOf } from '../domain/document.js';
import type { Json } from '../domain/json.js';
import { temporalUrl, type ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint, requireRole } from './endpoint.js';
import { actorOf, auditBehalf } from './identity.js';
import { requireNamedRows } from './known-rows.js';
import { once } from './once.js';
import { actorFields, idSchema, nameSchema } from './schemas.js';

const stepName = z.string().min(1).max(100);
const overrides = z
  .record(z.string(), z.unknown())
  .default({})
  .openapi({
    description: 'Dotted paths of the document and their values in this run',
    example: { 'trainer.params.epochs': 20 },
  });
const optionFields = {
  until: stepName.nullish().openapi({ description: 'Step that the run ends with', example: 'evaluate' }),
  fresh: z.boolean().default(false).openapi({ description: 'Take nothing from the result store' }),
};
const openSchema = z
  .strictObject({
    trigger: z.literal('manual', { error: 'must be manual' }).default('manual'),
    overrides,
    ...optionFields,
    ...actorFields,
  })
  .openapi('OpenRun');
const rerunSchema = z
  .strictObject({
    from: stepName.nullish().openapi({ description: 'Step to begin with; without it: the first after the data' }),
    overrides,
    ...optionFields,
    ...actorFields,
  })
  .openapi('Rerun');
const openedSchema = z
  .looseObject({ id: z.string(), number: z.int(), workflowId: z.string(), temporalUrl: z.string().nullable() })
  .openapi('OpenedRun');

interface Body {
  overrides: Record<string, unknown>;
  until?: string | null | undefined;
  fresh: boolean;
  by?: string | undefined;
  onBehalfOf?: string | undefined;
}

/** What both have in common: who asks, the start key, how the run is executed. */
type Common = Pick<OpenRun, 'project' | 'startKey' | 'startedBy' | 'verified' | 'overrides' | 'until' | 'fresh'>;

const programWords = ['command', 'program', 'directory', 'code', 'image'];

/** Whether `value` holds one of the words, as a name or as a text. */
const holds = (value: unknown, words: string[]): boolean =>
  new RegExp(`\\b(${words.join('|')})\\b`).test(JSON.stringify(value));

/** Whether overrides say what is run on the workers, which is an admin's right (docs/command-trainer.md). */
function choosesProgram(overrides: Record<string, unknown>): boolean {
  return Object.entries(overrides).some(([path, value]) => {
    const [owner, ...within] = segmentsOf(path);
    if (owner === 'trainer') return holds([within, value], programWords);
    if (owner !== 'gate') return false;
    // gate.checks[0].command.params and the limits are no choice of a program, as in a trainer
    const field = within[0] === 'checks' && within[2] === 'command' ? within[3] : undefined;
    return field === undefined ? holds([within, value], ['command']) : programWords.includes(field);
  });
}

async function opened(
  request: ApiRequest<unknown, unknown, Body>,
  deps: ApiDeps,
  open: (tx: Tx, common: Common) => Promise<OpenedRun>,
) {
  const { body, identity, key } = request;
  if (choosesProgram(body.overrides)) requireRole(identity, 'admin');
  const { project, subject } = identity;
  const actor = actorOf(identity, { name: body.by, onBehalfOf: body.onBehalfOf }, 'by', 'anonymous');
  const common: Common = {
    project,
    startKey: key === null ? newId('req') : `api/${subject ?? 'anonymous'}/${key}`,
    startedBy: actor.by,
    verified: actor.verified,
    overrides: body.overrides as Record<string, Json>,
    until: body.until ?? null,
    fresh: body.fresh,
  };
  return once(request, deps, async (tx) => {
    const { id, number, workflowId } = await open(tx, common);
    await auditBehalf(tx, project, actor, 'run.opened', id);
    return { status: 202, body: { id, number, workflowId, temporalUrl: temporalUrl(deps, workflowId) } };
  });
}

export function runOpenEndpoints(): Endpoint[] {
  const shared = {
    method: 'post',
    role: 'operator',
    bodyMode: 'optional',
    idempotent: true,
    answers: { 202: { description: 'The run is open', schema: openedSchema } },
  } as const;
  return [
    endpoint(
      {
        ...shared,
        path: '/api/v1/pipelines/{name}/runs',
        tag: 'pipelines',
        summary: 'Open a run now',
        params: { name: nameSchema },
        body: openSchema,
        problems: ['RunLive'],
      },
      (request, deps) =>
        opened(request, deps, async (tx, common) => {
          const { name: pipeline } = request.params;
          const { project, overrides } = common;
          await requireNamedRows(deps, tx, { project, pipeline, overrides, path: 'overrides.labeling.ask.keys' });
          return openRun(tx, { ...common, pipeline, trigger: request.body.trigger });
        }),
    ),
    endpoint(
      {
        ...shared,
        path: '/api/v1/runs/{id}/rerun',
        tag: 'runs',
        summary: 'Run again with the same data: what did not change is taken over',
        params: { id: idSchema('run') },
        body: rerunSchema,
        problems: ['RunLive', 'RerunImpossible'],
      },
      (request, deps) =>
        opened(request, deps, (tx, common) =>
          openRerun(tx, { ...common, run: request.params.id, from: request.body.from ?? null }),
        ),
    ),
  ];
}

// Label batches that no run opened: their tasks come with the request.
import { z } from '@hono/zod-openapi';
import { datasetOf } from '../db/dataset.js';
import { batchView, openOwnBatch, type NewTask } from '../db/labeling.js';
import type { DatasetRow } from '../db/dataset.js';
import type { FieldFault } from '../domain/failures.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { labelKinds } from '../domain/label-kind.js';
import {
  type BatchSettings,
  checkClasses,
  checkSpace,
  goldFitted,
  kindOfTask,
  mostRequestedTasks,
  readSettings,
  readTasks,
  type RequestedTask,
} from '../domain/label-request.js';
import { rowsLimitBytes } from './body.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { actorOf } from './identity.js';
import { knownClasses } from './known-classes.js';
import { batchSchema } from './labeling.js';
import { once } from './once.js';
import { nameSchema } from './schemas.js';

const openSchema = z
  .looseObject({
    dataset: nameSchema,
    kind: z.enum(labelKinds).optional().openapi({ description: 'Default: single, or number for regression' }),
    classes: z.array(z.unknown()).optional().openapi({ description: 'Needed for multiple, span and box' }),
    newClasses: z
      .boolean()
      .optional()
      .openapi({ description: 'Classes that the dataset does not have are meant; default false: they are refused' }),
    deadline: z.unknown().optional().openapi({ description: 'A duration, such as "3 days"; default 3 days' }),
    tasks: z
      .array(z.unknown(), { error: 'must be a list of tasks' })
      .min(1, { error: 'needs at least one task' })
      .max(mostRequestedTasks, { error: `has more than ${mostRequestedTasks} tasks; import a file` })
      .openapi({ description: '{key, item, suggestion?: {label, confidence?}, gold?: label}' }),
  })
  .openapi('NewLabelBatch', { description: 'And what the `labeling` of a document takes: docs/labeling.md' });

/** Told at most; the detail says how many there are. */
const toldFaults = 1_000;

/** @throws Failure `InvalidRequest` where there is a fault */
export function refuseFaults(faults: FieldFault[]): void {
  const [first] = faults;
  if (first === undefined) return;
  const more = faults.length > 1 ? `${faults.length} faults, the first: ` : '';
  const words = `${more}${first.path} ${first.message}`;
  throw new Failure('InvalidRequest', words, { faults: faults.slice(0, toldFaults) });
}

type Opened = BatchSettings & { dataset: DatasetRow; tasks: NewTask[]; origin?: Json };

/** Opens the batch, once per idempotency key. */
export async function openFor(request: ApiRequest, deps: ApiDeps, { dataset, deadlineMs, ...batch }: Opened) {
  const { project } = request.identity;
  const { by, verified } = actorOf(request.identity, {}, 'by', 'anonymous');
  return once(request, deps, async (tx) => {
    const deadline = new Date(Date.now() + deadlineMs);
    const facts = { project, dataset: dataset.id, task: dataset.task, deadline, by, verified };
    const { id } = await openOwnBatch(tx, { ...batch, ...facts });
    return { status: 201, body: await batchView(tx, project, id) };
  });
}

/** A task that somebody named. */
export function namedTask(task: Omit<RequestedTask, 'item'> & { item: unknown }): NewTask {
  const { key, item, suggestion, gold } = task;
  return {
    ...{ key, item: item as Json, suggestion, reason: 'named', probability: null, score: null },
    ...(gold === null ? {} : { gold }),
  };
}

export function labelOpenEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'post',
        path: '/api/v1/label-batches',
        tag: 'label-batches',
        summary: 'Open a batch of your own tasks, without a run',
        role: 'operator',
        body: openSchema,
        limitBytes: rowsLimitBytes,
        idempotent: true,
        answers: {
          201: { description: 'The batch; its labels go into the dataset when it is closed', schema: batchSchema },
        },
        problems: [],
      },
      async (request, deps) => {
        const { dataset: name, tasks, ...written } = request.body;
        const dataset = await datasetOf(deps.db, request.identity.project, name);
        const faults: FieldFault[] = [];
        const settings = readSettings(written, '', faults);
        refuseFaults(faults);
        const kind = settings?.kind ?? kindOfTask(dataset.task);
        checkSpace({ kind, classes: settings!.classes }, dataset.task, faults);
        refuseFaults(faults);
        const known = await knownClasses(deps, dataset, kind);
        const { newClasses, deadlineMs } = settings!;
        if (!newClasses) {
          checkClasses(settings!.classes ?? [], known, { path: (index) => `classes[${index}]`, faults });
          refuseFaults(faults);
        }
        const classes = settings!.classes ?? (newClasses ? null : known);
        const read = readTasks({ kind, classes })(tasks, 'tasks', faults);
        refuseFaults(faults);
        const policy = goldFitted(settings!, read!, { path: '', faults });
        refuseFaults(faults);
        return openFor(request, deps, { kind, classes, deadlineMs, policy, dataset, tasks: read!.map(namedTask) });
      },
    ),
  ];
}

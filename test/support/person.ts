// The person of the system tests: answers label tasks from the truth, accepts, approves; steady when the API is away.
// Every call that decides carries an idempotency key, so that a call whose answer was lost can be made again.
import type { RunView } from '../../examples/digits/client.js';
import { type TestSystem, until } from './system.js';

const patienceMs = 90_000;

export interface Attended {
  run: RunView;
  labels: number;
}

export async function must<T>(
  system: TestSystem,
  method: string,
  path: string,
  body?: unknown,
  key?: string,
): Promise<T> {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  const answer = await system.call<T>(method, path, body, { patienceMs, headers });
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

async function label(
  system: TestSystem,
  batch: string,
  truth: (item: Record<string, unknown>) => string,
): Promise<number> {
  let given = 0;
  for (;;) {
    const path = `/api/v1/label-batches/${batch}`;
    const { status } = await must<{ status: string }>(system, 'GET', path);
    if (status !== 'open') break;
    const leased = await must<{ tasks: { taskId: string; fence: number; item: Record<string, unknown> }[] }>(
      system,
      'POST',
      `${path}/lease`,
      { labeler: 'kim', count: 100 },
    );
    if (leased.tasks.length === 0) break;
    const annotations = leased.tasks.map(({ taskId, fence, item }) => ({ taskId, fence, label: truth(item) }));
    const answer = await must<{ accepted: number; refused: unknown[] }>(system, 'POST', `${path}/annotations`, {
      labeler: 'kim',
      annotations,
    });
    if (answer.refused.length > 0) throw new Error(`refused: ${JSON.stringify(answer.refused)}`);
    given += answer.accepted;
  }
  return given;
}

/** Does what the run asks for, until it waits for `stopAt` or has ended. */
export async function attendRun(
  system: TestSystem,
  run: string,
  truth: (item: Record<string, unknown>) => string = () => '',
  options: { stopAt?: string; patienceMs?: number } = {},
): Promise<Attended> {
  let labels = 0;
  const done = await until(
    `run ${run} to end`,
    async () => {
      const view = await must<RunView>(system, 'GET', `/api/v1/runs/${run}`);
      const { waitingFor } = view;
      if (!waitingFor) return view.status !== 'running' && view.status !== 'waiting' ? view : null;
      if (waitingFor.kind === options.stopAt) return view;
      if (waitingFor.kind === 'labels') {
        labels += await label(system, waitingFor.id, truth);
        const path = `/api/v1/label-batches/${waitingFor.id}/decision`;
        await must(system, 'POST', path, { decision: 'accept', by: 'lee' }, `accept-${waitingFor.id}`);
      }
      if (waitingFor.kind === 'approval' || waitingFor.kind === 'schema') await approve(system, waitingFor.id);
      return null;
    },
    options.patienceMs ?? 120_000,
  );
  return { run: done, labels };
}

async function approve(system: TestSystem, approval: string): Promise<void> {
  const path = `/api/v1/approvals/${approval}`;
  const { digest } = await must<{ digest: string }>(system, 'GET', path);
  await must(system, 'POST', `${path}/decision`, { decision: 'approve', by: 'lee', digest }, `approve-${approval}`);
}

// The demo's person: leases tasks, answers from the truth, accepts the batch, approves the candidate. Through HTTP alone.
import type { Api, RunEvent, RunView } from './client.js';

interface Lease {
  tasks: { taskId: string; fence: number; item: Record<string, unknown> }[];
}

/** Answers every task of a batch and accepts it. Returns how many labels were given. */
export async function labelBatch(
  api: Api,
  batch: string,
  truth: Map<string, string>,
  say: (line: string) => void,
): Promise<number> {
  const labeler = 'kim';
  let given = 0;
  for (;;) {
    const { status } = await api.get<{ status: string }>(`/api/v1/label-batches/${batch}`);
    if (status !== 'open') break;
    const { tasks } = await api.post<Lease>(`/api/v1/label-batches/${batch}/lease`, { labeler, count: 50 });
    if (tasks.length === 0) break;
    const annotations = tasks.map(({ taskId, fence, item }) => ({
      taskId,
      fence,
      label: truth.get(String(item['id'])),
    }));
    const answer = await api.post<{ accepted: number; refused: unknown[] }>(
      `/api/v1/label-batches/${batch}/annotations`,
      {
        labeler,
        annotations,
      },
    );
    if (answer.refused.length > 0) throw new Error(`answers refused: ${JSON.stringify(answer.refused)}`);
    given += answer.accepted;
    say(`${labeler} labelled ${given} digits`);
  }
  await api.post(`/api/v1/label-batches/${batch}/decision`, {
    decision: 'accept',
    by: 'lee',
    reason: 'looked through them',
  });
  say('lee accepted the batch');
  return given;
}

/** Approves the candidate that waits, naming its digest. */
export async function approve(api: Api, approval: string, say: (line: string) => void): Promise<void> {
  const { digest } = await api.get<{ digest: string }>(`/api/v1/approvals/${approval}`);
  await api.post(`/api/v1/approvals/${approval}/decision`, {
    decision: 'approve',
    by: 'lee',
    reason: 'passed the gate',
    digest,
  });
  say(`lee approved ${digest.slice(0, 19)}…`);
}

/** Follows a run to its end, doing what a person has to. Returns the ended run and the number of labels given. */
export async function attend(
  api: Api,
  run: string,
  truth: Map<string, string>,
  say: (line: string) => void,
  onEvent: (event: RunEvent) => void,
): Promise<{ run: RunView; labels: number }> {
  let labels = 0;
  for await (const event of api.events(run)) {
    onEvent(event);
    if (event.type !== 'run.waiting') continue;
    const { kind, id } = event.data as { kind: string; id: string };
    if (kind === 'labels') labels += await labelBatch(api, id, truth, say);
    if (kind === 'approval') await approve(api, id, say);
  }
  return { run: await api.get<RunView>(`/api/v1/runs/${run}`), labels };
}

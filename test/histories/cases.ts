// The cases whose histories are recorded: each plays a story on a real system and says which workflows told it.
import type { RunView } from '../../examples/digits/client.js';
import { workflowIds } from '../../domain/ids.js';
import { connectTemporal } from '../../adapters/temporal.js';
import { documentOf, type Scene } from '../faults/scene.js';
import { attendRun, must } from '../support/person.js';
import { until } from '../support/system.js';

/** Name of the file, and the workflow whose history goes into it. */
export interface Told {
  name: string;
  workflowId: string;
  /** The first execution, where the workflow continued as new; else the last. */
  first?: boolean;
}

type Story = (scene: Scene) => Promise<Told[]>;
type Parts = Record<string, unknown>;

const runOf = (pipeline: string, number = 1) => workflowIds.run('default', pipeline, number);
const loopOf = (pipeline: string) => workflowIds.loop('default', pipeline);
const alone: Parts = { labeling: undefined, approval: undefined };

async function create({ system, source }: Scene, name: string, parts: Parts = {}): Promise<void> {
  await must(system, 'POST', '/api/v1/pipelines', { ...documentOf(name, source), ...parts });
}

async function open({ system }: Scene, name: string): Promise<string> {
  return (await must<{ id: string }>(system, 'POST', `/api/v1/pipelines/${name}/runs`, { trigger: 'manual' })).id;
}

async function begin(scene: Scene, name: string, parts: Parts = {}): Promise<string> {
  await create(scene, name, parts);
  return open(scene, name);
}

async function ends({ system, truth }: Scene, run: string, wanted: string): Promise<void> {
  const { run: view } = await attendRun(system, run, truth);
  if (view.status !== wanted) throw new Error(`run ${run} ended ${view.status}: ${JSON.stringify(view.failure)}`);
}

/** Nobody attends to it. */
async function becomes({ system }: Scene, run: string, wanted: string): Promise<void> {
  const look = async () => (await must<RunView>(system, 'GET', `/api/v1/runs/${run}`)).status === wanted;
  await until(`run ${run} to be ${wanted}`, look);
}

/** The wait of that kind, once the run has come to it; what comes before is attended to. */
async function waits({ system, truth }: Scene, run: string, kind: string): Promise<string> {
  const { run: view } = await attendRun(system, run, truth, { stopAt: kind });
  if (!view.waitingFor) throw new Error(`run ${run} ended ${view.status} and never waited for ${kind}`);
  return view.waitingFor.id;
}

async function batchOf({ system }: Scene, run: string): Promise<string> {
  const path = '/api/v1/label-batches?limit=100';
  const { items } = await must<{ items: { id: string; run: string }[] }>(system, 'GET', path);
  const batch = items.find((item) => item.run === run);
  if (!batch) throw new Error(`run ${run} has no batch`);
  return workflowIds.labels('default', batch.id);
}

async function runAfter({ system }: Scene, pipeline: string, number: number): Promise<string> {
  const look = async () => {
    const { items } = await must<{ items: RunView[] }>(system, 'GET', `/api/v1/runs?pipeline=${pipeline}`);
    return items.find((run) => run.number > number)?.id;
  };
  return until(`a run of ${pipeline} after ${number}`, look);
}

const fullCircle: Story = async (scene) => {
  const run = await begin(scene, 'full');
  await ends(scene, run, 'succeeded');
  return [
    { name: 'trainingRun.labels-and-approval', workflowId: runOf('full') },
    { name: 'labelBatch.accepted', workflowId: await batchOf(scene, run) },
  ];
};

const nobodyAsked: Story = async (scene) => {
  await ends(scene, await begin(scene, 'alone', alone), 'succeeded');
  await must(scene.system, 'POST', '/api/v1/datasets/alone/rows', [
    { id: '900', sepal_length_cm: 5, sepal_width_cm: 3, petal_length_cm: 1, petal_width_cm: 1, stem_cm: 4, label: '0' },
  ]);
  const second = await open(scene, 'alone');
  await waits(scene, second, 'schema');
  await ends(scene, second, 'succeeded');
  return [
    { name: 'trainingRun.no-people', workflowId: runOf('alone') },
    { name: 'trainingRun.schema-asked', workflowId: runOf('alone', 2) },
  ];
};

const rejectedByGate: Story = async (scene) => {
  const weak = { type: 'linear', params: { epochs: 1, batch: 64, learningRate: 0.000001 }, seed: 7 };
  const gate = { metric: 'accuracy', min: 1 };
  await ends(scene, await begin(scene, 'weak', { ...alone, trainer: weak, gate }), 'rejected');
  return [{ name: 'trainingRun.rejected-gate', workflowId: runOf('weak') }];
};

const rejectedByPerson: Story = async (scene) => {
  const { system } = scene;
  const run = await begin(scene, 'refused', { labeling: undefined });
  const path = `/api/v1/approvals/${await waits(scene, run, 'approval')}`;
  const { digest } = await must<{ digest: string }>(system, 'GET', path);
  await must(system, 'POST', `${path}/decision`, { decision: 'reject', by: 'lee', reason: 'not yet', digest });
  await ends(scene, run, 'rejected');
  return [{ name: 'trainingRun.rejected-by-person', workflowId: runOf('refused') }];
};

const deadlines: Story = async (scene) => {
  const labeling = { strategy: 'random', batchSize: 5, deadline: '3 s' };
  const approval = { quorum: 1, deadline: '1 s', onDeadline: 'reject' };
  const run = await begin(scene, 'late', { labeling, approval });
  await becomes(scene, run, 'rejected');
  return [
    { name: 'trainingRun.deadline-approval', workflowId: runOf('late') },
    { name: 'labelBatch.closed-at-deadline', workflowId: await batchOf(scene, run) },
  ];
};

const escalated: Story = async (scene) => {
  const requires = { skills: ['x-ray'] };
  const labeling = { strategy: 'random', batchSize: 5, deadline: '2 s', requires, escalate: { extend: 1 } };
  const run = await begin(scene, 'wider', { labeling, approval: undefined });
  await becomes(scene, run, 'succeeded');
  return [{ name: 'labelBatch.escalated', workflowId: await batchOf(scene, run) }];
};

const badData: Story = async (scene) => {
  const path = await scene.system.write('twice.csv', 'id,a,label\n1,2,x\n1,3,y\n2,4,x\n');
  const dataset = { name: 'bad', source: { type: 'file', path }, key: 'id', label: 'label', task: 'classification' };
  await ends(scene, await begin(scene, 'bad', { ...alone, dataset }), 'failed');
  return [{ name: 'trainingRun.failed-data', workflowId: runOf('bad') }];
};

const cancelled: Story = async (scene) => {
  const run = await begin(scene, 'stopped');
  await waits(scene, run, 'labels');
  await must(scene.system, 'POST', `/api/v1/runs/${run}/cancel`, {});
  await becomes(scene, run, 'cancelled');
  return [
    { name: 'trainingRun.cancelled', workflowId: runOf('stopped') },
    { name: 'labelBatch.cancelled', workflowId: await batchOf(scene, run) },
  ];
};

const sentBack: Story = async (scene) => {
  const { system } = scene;
  const run = await begin(scene, 'again');
  const path = `/api/v1/label-batches/${await waits(scene, run, 'labels')}/decision`;
  const sendBack = { decision: 'send-back', by: 'lee', reason: 'look again' };
  // Pending (202) as long as the batch's workflow has not begun: the same request asks again.
  await until('the batch to be sent back', async () => {
    const { decision } = await must<{ decision?: string }>(system, 'POST', path, sendBack, `back-${run}`);
    return decision === 'send-back';
  });
  await ends(scene, run, 'succeeded');
  return [{ name: 'labelBatch.sent-back', workflowId: await batchOf(scene, run) }];
};

const ownBatch: Story = async (scene) => {
  const { system } = scene;
  await create(scene, 'own', alone);
  const tasks = ['a', 'b'].map((key) => ({ key, item: { text: key } }));
  const { id } = await must<{ id: string }>(system, 'POST', '/api/v1/label-batches', { dataset: 'own', tasks });
  const path = `/api/v1/label-batches/${id}`;
  const leased = await must<{ tasks: { taskId: string; fence: number }[] }>(system, 'POST', `${path}/lease`, {
    labeler: 'kim',
  });
  const annotations = leased.tasks.map(({ taskId, fence }) => ({ taskId, fence, label: '0' }));
  await must(system, 'POST', `${path}/annotations`, { labeler: 'kim', annotations });
  await until('the batch to be accepted', async () => {
    const accept = { decision: 'accept', by: 'lee' };
    return (
      (await must<{ status: string }>(system, 'POST', `${path}/decision`, accept, `own-${id}`)).status === 'accepted'
    );
  });
  return [{ name: 'labelBatch.own', workflowId: workflowIds.labels('default', id) }];
};

const fromTemporal: Story = async (scene) => {
  await create(scene, 'byhand', alone);
  const { client, close } = connectTemporal((await scene.system.running()).temporal, 'perennial');
  try {
    const workflowId = 'started-by-hand';
    await client.workflow.execute('trainingRun', { taskQueue: 'flow', workflowId, args: [{ pipeline: 'byhand' }] });
    return [{ name: 'trainingRun.started-from-cli', workflowId }];
  } finally {
    await close();
  }
};

const twoCandidates: Story = async (scene) => {
  const trainer = [
    { type: 'linear', params: { epochs: 20, batch: 16, learningRate: 0.01 }, seed: 7 },
    { type: 'linear', params: { epochs: 5, batch: 64, learningRate: 0.001 }, seed: 8 },
  ];
  await ends(scene, await begin(scene, 'two', { ...alone, trainer }), 'succeeded');
  return [{ name: 'trainingRun.two-candidates', workflowId: runOf('two') }];
};

const loopByRows: Story = async (scene) => {
  await create(scene, 'grows', { ...alone, triggers: { newRows: 2 } });
  const row = { sepal_length_cm: 5, sepal_width_cm: 3, petal_length_cm: 1, petal_width_cm: 1, label: '0' };
  await must(
    scene.system,
    'POST',
    '/api/v1/datasets/grows/rows',
    ['901', '902'].map((id) => ({ id, ...row })),
  );
  await ends(scene, await runAfter(scene, 'grows', 0), 'succeeded');
  return [{ name: 'pipelineLoop.rows-triggered', workflowId: loopOf('grows'), first: true }];
};

const loopBySchedule: Story = async (scene) => {
  await create(scene, 'nightly', { ...alone, triggers: { schedule: '0 2 * * *', timezone: 'Asia/Seoul' } });
  const { client, close } = connectTemporal((await scene.system.running()).temporal, 'perennial');
  try {
    const schedule = client.schedule.getHandle(workflowIds.trigger('default', 'nightly'));
    await until('the schedule', () => schedule.describe().catch(() => null));
    await schedule.trigger();
    await ends(scene, await runAfter(scene, 'nightly', 0), 'succeeded');
    const { recentActions } = (await schedule.describe()).info;
    const workflowId = recentActions[0]?.action.workflow.workflowId ?? '';
    return [
      { name: 'pipelineLoop.scheduled', workflowId: loopOf('nightly'), first: true },
      { name: 'tick.fired', workflowId },
    ];
  } finally {
    await close();
  }
};

const loopPausedAndChanged: Story = async (scene) => {
  const { system } = scene;
  const seen = async (name: string, holds: (state: Parts) => boolean) => {
    const { client, close } = connectTemporal((await system.running()).temporal, 'perennial');
    const look = async () => holds(await client.workflow.getHandle(loopOf(name)).query<Parts, []>('loopState'));
    await until(`the loop of ${name} to see it`, () => look().catch(() => false)).finally(close);
  };
  await create(scene, 'calm');
  await create(scene, 'paused', { ...alone, triggers: { newRows: 1 } });
  await must(system, 'POST', '/api/v1/pipelines/paused/pause', {});
  await seen('paused', (state) => JSON.stringify(state).includes('"paused":true'));
  await must(system, 'POST', '/api/v1/pipelines/paused/resume', {});
  await seen('paused', (state) => JSON.stringify(state).includes('"paused":false'));
  await create(scene, 'changed', alone);
  await create(scene, 'changed', { ...alone, triggers: { newRows: 77 } });
  await seen('changed', (state) => JSON.stringify(state).includes('77'));
  await seen('calm', (state) => JSON.stringify(state).includes('calm'));
  return [
    { name: 'pipelineLoop.created', workflowId: loopOf('calm') },
    { name: 'pipelineLoop.paused', workflowId: loopOf('paused') },
    { name: 'pipelineLoop.changed', workflowId: loopOf('changed') },
  ];
};

const campaigns: Story = async (scene) => {
  const { system } = scene;
  const rounds = async (id: string) =>
    (await must<{ rounds: { run: string }[] }>(system, 'GET', `/api/v1/campaigns/${id}`)).rounds;
  const started = async (pipeline: string, stop: Parts) => {
    await create(scene, pipeline, { approval: undefined });
    const asked = { pipeline, batchSize: 4, stop };
    return (await must<{ id: string }>(system, 'POST', '/api/v1/campaigns', asked)).id;
  };
  const say = (id: string, decision: string) =>
    must(system, 'POST', `/api/v1/campaigns/${id}/decision`, { decision, by: 'lee' }, `${decision}-${id}`);
  const over = (id: string) =>
    until(
      `${id} to stop`,
      async () => (await must<Parts>(system, 'GET', `/api/v1/campaigns/${id}`))['status'] === 'stopped',
    );
  const spent = await started('spent', { labels: 6 });
  for (const round of [0, 1]) {
    const { run } = await until(`round ${round + 1}`, async () => (await rounds(spent))[round]);
    await ends(scene, run, 'succeeded');
  }
  await over(spent);
  const halted = await started('halted', { deadline: '1 hour' });
  const { run } = await until('the first round', async () => (await rounds(halted))[0]);
  await say(halted, 'pause');
  await ends(scene, run, 'succeeded');
  await say(halted, 'resume');
  await until('the second round', async () => (await rounds(halted))[1]);
  await say(halted, 'stop');
  await over(halted);
  return [
    { name: 'labelCampaign.labels-spent', workflowId: workflowIds.campaign('default', spent) },
    { name: 'labelCampaign.paused-and-stopped', workflowId: workflowIds.campaign('default', halted) },
  ];
};

export const stories: Story[] = [
  ...[fullCircle, nobodyAsked, rejectedByGate, rejectedByPerson, deadlines, badData, cancelled, sentBack, ownBatch],
  ...[fromTemporal, twoCandidates, loopByRows, loopBySchedule, loopPausedAndChanged, campaigns, escalated],
];

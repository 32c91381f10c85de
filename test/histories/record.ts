// `npm run record`: plays every case, or the stories that are named (`-- ownBatch`), on a real system and writes its history to test/histories/<workflow>.<case>.json.
// For after a deliberate change of a workflow; old histories that must still replay are kept beside the new ones by hand.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { projectRoot } from '../../adapters/paths.js';
import { connectTemporal } from '../../adapters/temporal.js';
import { openScene } from '../faults/scene.js';
import { until } from '../support/system.js';
import { stories, type Told } from './cases.js';

/** Stories at once: each is mostly waiting. */
const together = 3;

async function historyOf(client: Client, { workflowId, first }: Told): Promise<string> {
  if (!first) return historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory());
  const { runId } = await until(`the first execution of ${workflowId} to be over`, async () => {
    const query = `WorkflowId="${workflowId}" AND ExecutionStatus="ContinuedAsNew"`;
    const found = [];
    for await (const execution of client.workflow.list({ query })) found.push(execution);
    return found.sort((a, b) => a.startTime.getTime() - b.startTime.getTime())[0];
  });
  return historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory());
}

async function record(): Promise<void> {
  const scene = await openScene(null);
  const { client, close } = connectTemporal((await scene.system.running()).temporal, 'perennial');
  const folder = join(projectRoot, 'test/histories');
  await mkdir(folder, { recursive: true });
  const named = process.argv.slice(2);
  const left = stories.filter(({ name }) => named.length === 0 || named.includes(name));
  const play = async () => {
    for (let story = left.shift(); story; story = left.shift()) {
      for (const told of await story(scene)) {
        const history = JSON.parse(await historyOf(client, told)) as { events: unknown[] };
        // Stack traces name the place of this clone; nothing replays them.
        const text = JSON.stringify({ workflowId: told.workflowId, history }).replaceAll(`${projectRoot}/`, '');
        await writeFile(join(folder, `${told.name}.json`), `${text}\n`);
        console.log(`${told.name}: ${history.events.length} events, ${(text.length / 1024).toFixed(0)} KiB`);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: together }, play));
  } finally {
    await close();
    await scene.system.stop();
  }
}

await record();
process.exit(0);

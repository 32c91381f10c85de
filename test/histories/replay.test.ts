// Every recorded history replays on the workflows as they are. A change that would break a run under way fails here:
// guard it with `patched('<id>')`, and record the new way beside the old.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import * as workflows from '../../workflows/index.js';
import { changedWorkflows, presentWorkflows } from './bundle.js';

const folder = import.meta.dirname;
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

interface Recorded {
  workflowId: string;
  history: { events: unknown[] };
}

const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recorded;

/** What replay says about each of `names`, null where all is well. */
async function replay(workflowBundle: WorkflowBundleWithSourceMap, names: string[]): Promise<Map<string, unknown>> {
  const said = new Map<string, unknown>();
  for (const name of names) {
    const { workflowId, history } = read(name);
    // One at a time: an id may be in several files.
    for await (const { error } of Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }])) {
      said.set(name, error ?? null);
    }
  }
  return said;
}

beforeAll(() => {
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  Runtime.install({ logger: quiet, telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' } } } });
});

describe('recorded histories', () => {
  test('replay on the present workflows', { timeout: 120_000 }, async () => {
    const said = await replay(await presentWorkflows(), files);
    expect([...said].filter(([, error]) => error !== null)).toEqual([]);
    expect(said.size).toBe(files.length);
  });

  test('are there for every workflow', () => {
    const recorded = new Set(files.map((file) => file.split('.')[0]));
    expect([...recorded].sort()).toEqual(Object.keys(workflows).sort());
  });

  test('fail on a workflow that was changed without patched', { timeout: 120_000 }, async () => {
    const before = 'state.stages.plan(plan.map((node) => node.name));';
    const changed = await changedWorkflows('workflows/run.ts', before, `${before} await condition(() => false, 1000);`);
    const said = await replay(changed, ['trainingRun.no-people.json', 'tick.fired.json']);
    expect(said.get('trainingRun.no-people.json')).toBeInstanceOf(DeterminismViolationError);
    expect(said.get('tick.fired.json')).toBeNull();
  });
});

// A pipeline in a database of its own, and its data steps run one after the other as a worker would.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createDatasetActivities } from '../../activities/dataset/index.js';
import { type Step, withStep } from '../../activities/step.js';
import { featurize } from '../../activities/training/featurize.js';
import { createScorer } from '../../adapters/scorer.js';
import { createDuck, sqlLiteral } from '../../adapters/duckdb.js';
import { parseRows } from '../../adapters/rows.js';
import { createArtifacts, createStore } from '../../adapters/store/index.js';
import { artifactHooks } from '../../db/artifact.js';
import { addIngest, datasetOf } from '../../db/dataset.js';
import { savePipeline } from '../../db/pipeline.js';
import { closeRun, openRun } from '../../db/run.js';
import { digestOf } from '../../adapters/store/index.js';
import { type Digest, mediaTypes } from '../../domain/artifact.js';
import { parsePipeline } from '../../domain/document.js';
import type { Json } from '../../domain/json.js';
import type { RunContext } from '../../domain/run.js';
import type { ExtractResult, FeaturizeResult, ProfileResult, SplitResult, ValidateResult } from '../../domain/steps.js';
import { testDatabase } from '../support/database.js';

export type Document = Record<string, Json>;

/** The least that a document needs, and what a test adds. */
export function documentOf(name: string, more: Document & { dataset?: Document } = {}): Document {
  const dataset = { name, key: 'id', label: 'y', task: 'classification', ...more.dataset };
  return {
    name,
    trainer: { type: 'linear' },
    gate: { metric: 'accuracy', min: 0.5 },
    split: { holdout: 0.2, validation: 0.1, seed: 1 },
    ...more,
    dataset,
  };
}

export interface Done {
  context: RunContext;
  extract: ExtractResult;
  profile: ProfileResult;
  validate: ValidateResult;
  split: SplitResult;
  featurize: FeaturizeResult;
}
type Node = Exclude<keyof Done, 'context'>;
const nodes: Node[] = ['extract', 'profile', 'validate', 'split', 'featurize'];

export async function openWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-data-'));
  const database = await testDatabase();
  const { db } = database;
  const duck = createDuck({ memoryLimitMb: 1024, tempFolder: join(folder, 'duck') });
  const artifacts = createArtifacts(createStore(join(folder, 'store')), artifactHooks(db));
  const config = { sources: undefined as string | undefined, cwd: folder, scratch: join(folder, 'scratch') };
  const deps = { db, duck, artifacts, config, code: 'test', log: pino({ level: 'silent' }) as never };
  const activities = createDatasetActivities(deps);
  const scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2048, onChild: () => undefined });
  let number = 0;

  function step(node: string, run: string): Step {
    const key = { workflowId: run, workflowRunId: 'w', activityId: `${node}-${number++}` };
    const { signal } = new AbortController();
    return {
      key,
      run,
      node,
      fence: 1,
      signal,
      draining: () => false,
      guard: () => Promise.resolve(),
      heartbeat: () => undefined,
      previous: undefined,
      hold: () => Promise.resolve(),
    };
  }

  async function open(document: Document, options: { fresh?: boolean } = {}): Promise<RunContext> {
    const parsed = parsePipeline(document);
    if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
    const digest = digestOf(Buffer.from(JSON.stringify(document)));
    await savePipeline(db, {
      project: 'default',
      document: parsed.document,
      source: document,
      digest,
      by: 'kim',
      verified: true,
    });
    const name = parsed.document.name;
    const run = await openRun(db, {
      project: 'default',
      pipeline: name,
      startKey: `k${number++}`,
      trigger: 'manual',
      overrides: {},
      ...options,
      startedBy: 'kim',
      verified: true,
    });
    return { run: run.id, project: 'default', pipeline: name, number: run.number };
  }

  return {
    folder,
    db,
    duck,
    artifacts,
    config,
    deps,
    async close() {
      duck.close();
      scorer.close();
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
    write(name: string, content: string): string {
      writeFileSync(join(folder, name), content);
      return name;
    },
    open,
    runStep: <T>(node: string, context: RunContext, work: () => Promise<T>) => withStep(step(node, context.run), work),
    /** Opens a run, runs the steps up to `last`, and closes the run whatever happens. */
    async run(document: Document, last: Node = 'split', extra: Record<string, Json> = {}): Promise<Done> {
      const context = await open(document);
      const inputs: Record<string, Json> = { ...extra };
      try {
        for (const node of nodes.slice(0, nodes.indexOf(last) + 1)) {
          const input = { context, node, candidate: 0, inputs };
          const work = () => (node === 'featurize' ? featurize({ ...deps, scorer }, input) : activities[node](input));
          inputs[node] = (await withStep(step(node, context.run), work as () => Promise<unknown>)) as Json;
        }
        await closeRun(db, { run: context.run, status: 'succeeded', failure: null });
      } catch (error) {
        await closeRun(db, { run: context.run, status: 'failed', failure: null });
        throw error;
      }
      return { context, ...inputs } as unknown as Done;
    },
    async push(name: string, csv: string): Promise<void> {
      const path = join(folder, `push-${number++}`);
      writeFileSync(path, csv);
      const parsed = await parseRows(
        duck,
        { path, format: 'auto' },
        { key: 'id', maxColumns: 5000, outFolder: config.scratch },
      );
      const { digest } = await artifacts.putFile(parsed.path, mediaTypes.parquet);
      const dataset = await datasetOf(db, 'default', name);
      await addIngest(db, {
        dataset: dataset.id,
        artifact: digest,
        rows: parsed.rows,
        quarantined: parsed.quarantined,
        format: 'csv',
        columns: parsed.columns,
        by: 'kim',
      });
    },
    async rows(digest: Digest): Promise<Record<string, unknown>[]> {
      return duck.query(`SELECT * FROM read_parquet(${sqlLiteral(await artifacts.localPath(digest))})`);
    },
  };
}

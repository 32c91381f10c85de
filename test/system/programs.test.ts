// Programs as trainers in a whole perennial: scikit-learn and PyTorch in environments of their own, from rows to a champion
// that answers; PyTorch killed in the middle ends in the same bytes. Environments are kept from run to run of the tests.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot } from '../../adapters/paths.js';
import { run as runSklearn } from '../../examples/06-command-sklearn/run.js';
import { run as runTorch } from '../../examples/07-command-torch/run.js';
import { Api } from '../../examples/digits/client.js';
import { must } from '../support/person.js';
import { canInstall, isKept, keptEnvironments } from '../support/python.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';
import { ended } from './support.js';

const codeOf = (example: string): string => join(projectRoot, 'examples', example, 'code');

/** Some gigabytes are not installed without being asked for. */
async function reasonsAgainst(): Promise<{ sklearn: string | null; torch: string | null }> {
  const sklearn = (await isKept(codeOf('06-command-sklearn'))) ? null : canInstall;
  if (await isKept(codeOf('07-command-torch'))) return { sklearn, torch: null };
  const asked = process.env['PERENNIAL_TEST_TORCH'] === '1';
  return { sklearn, torch: asked ? canInstall : 'PyTorch is not installed: PERENNIAL_TEST_TORCH=1 does it, once' };
}
const { sklearn, torch } = await reasonsAgainst();
if (sklearn !== null) console.info(`example 06 is not run: ${sklearn}`);
if (torch !== null) console.info(`example 07 is not run: ${torch}`);

describe.skipIf(sklearn !== null && torch !== null)('programs', { timeout: 900_000 }, () => {
  let system: TestSystem;
  let api: Api;
  beforeAll(async () => {
    system = await startTestSystem({ PERENNIAL_ENVIRONMENTS: keptEnvironments });
    api = new Api(system.url);
  });
  afterAll(() => system?.stop());

  test.skipIf(sklearn !== null)(`scikit-learn: a champion that answers rows${skipped(sklearn)}`, async () => {
    const said: string[] = [];
    const { run, predictions, champion } = await runSklearn(api, (line) => said.push(line));
    expect(champion).toBe(1);
    expect(run.metrics['accuracy']).toBeGreaterThan(0.9);
    expect(predictions.map(({ label }) => label)).toEqual(['0', '2']);
    for (const { label = '', probabilities = {} } of predictions) {
      expect(probabilities[label]).toBeGreaterThan(0.5);
      expect(Object.values(probabilities).reduce((a, b) => a + b)).toBeCloseTo(1, 3);
    }
    expect(said.find((line) => line.startsWith('train'))).toMatch(/command: .* on cpu \(CPython [\d.]+, 12 packages\)/);
  });

  test.skipIf(torch !== null)(
    `PyTorch, killed in the middle: the bytes of the whole run${skipped(torch)}`,
    async () => {
      const { run, predictions } = await runTorch(api);
      expect(predictions.map(({ label }) => label)).toEqual(['0', '2']);
      const whole = await trained(run.id);
      const path = '/api/v1/pipelines/iris-torch/runs';
      const { id } = await must<{ id: string }>(system, 'POST', path, { trigger: 'manual', fresh: true });
      const stored = await until('a checkpoint to be stored', () => storedStep(id), 120_000);
      const pids = programs();
      expect(pids.length).toBeGreaterThan(0);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      expect((await ended(system, id, 240_000)).status).toBe('succeeded');
      const again = await trained(id);
      expect(again.from).toBeGreaterThanOrEqual(stored);
      expect(again.model).toBe(whole.model);
      console.log(`PyTorch: a checkpoint of step ${stored} was stored, resumed from ${again.from} of ${again.steps}`);
    },
  );

  /** Digest of the served model, and where its training began. */
  async function trained(run: string): Promise<{ model: string; from: number; steps: number }> {
    const [row] = await system.sql<{ model: string; from: number; steps: number }>(
      `select p.result #>> '{variants,0,model}' as model, (t.result ->> 'resumedFromStep')::int as from,
          (t.result ->> 'steps')::int as steps
        from step p join step t on t.run = p.run and t.node = 'train' where p.run = $1 and p.node = 'package'`,
      [run],
    );
    return row!;
  }

  async function storedStep(run: string): Promise<number | null> {
    const [row] = await system.sql<{ at: number | null }>(
      `select checkpoint_step as at from step where run = $1 and node = 'train'`,
      [run],
    );
    return row?.at ?? null;
  }

  /** Pids of train.py in this home. */
  function programs(): number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => {
      try {
        const mine = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PERENNIAL_JOB=${system.home}`);
        return mine && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('train.py');
      } catch {
        return false;
      }
    });
  }
});

/** For the name of a test that does not run. */
function skipped(reason: string | null): string {
  return reason === null ? '' : ` (skipped: ${reason})`;
}

// Programs as trainers in a whole perennial: scikit-learn and PyTorch in their own environments, from rows to a champion;
// PyTorch killed in the middle ends in the same bytes. Needs Python and a package index, and says so where there are none.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { declaredEnvironment } from '../../adapters/command/environment.js';
import { projectRoot } from '../../adapters/paths.js';
import { run as runSklearn } from '../../examples/06-command-sklearn/run.js';
import { run as runTorch } from '../../examples/07-command-torch/run.js';
import { Api } from '../../examples/digits/client.js';
import { canInstall } from '../support/python.js';
import { startTestSystem, type TestSystem, until } from '../support/system.js';

/** Shared by all runs of the tests: an environment is made once. */
const environments = join(homedir(), '.cache', 'perennial', 'environments');

async function reasonAgainstTorch(): Promise<string | null> {
  if (canInstall !== null) return canInstall;
  if (process.env['PERENNIAL_TEST_TORCH'] === '1') return null;
  const { digest } = await declaredEnvironment(join(projectRoot, 'examples/07-command-torch/code'));
  if (existsSync(join(environments, digest.slice('sha256:'.length, 'sha256:'.length + 32)))) return null;
  return 'PyTorch is not installed yet, some gigabytes: PERENNIAL_TEST_TORCH=1 installs it once';
}
const noTorch = await reasonAgainstTorch();
if (noTorch !== null) console.info(`example 07: ${noTorch}`);

describe.skipIf(canInstall !== null)('programs', { timeout: 600_000 }, () => {
  let system: TestSystem;
  let api: Api;
  beforeAll(async () => {
    system = await startTestSystem({ PERENNIAL_ENVIRONMENTS: environments });
    api = new Api(system.url);
  });
  afterAll(() => system?.stop());

  test('scikit-learn: a champion that answers rows', async () => {
    const { run, predictions, champion } = await runSklearn(api);
    expect(champion).toBe(1);
    expect(run.metrics['accuracy']).toBeGreaterThan(0.9);
    expect(predictions.map(({ label }) => label)).toEqual(['setosa', 'virginica']);
  });

  test.skipIf(noTorch !== null)('PyTorch, killed in the middle: the bytes of the undisturbed run', async () => {
    const { run } = await runTorch(api);
    const whole = await stateOf(run.id);
    const { id } = await api.post<{ id: string }>('/api/v1/pipelines/iris-torch/runs', {
      trigger: 'manual',
      fresh: true,
    });
    await until(
      'a stored checkpoint',
      async () => {
        const rows = await system.sql<{ at: number }>(
          `select checkpoint_step as at from step where run = $1 and node = 'train' and checkpoint is not null`,
          [id],
        );
        return rows.length > 0;
      },
      120_000,
    );
    const pids = programs();
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(
      'the end of the run',
      async () => (await api.get<{ status: string }>(`/api/v1/runs/${id}`)).status === 'succeeded',
      240_000,
    );
    const again = await stateOf(id);
    expect(again.from).toBeGreaterThan(0);
    expect(again.model).toBe(whole.model);
  });

  async function stateOf(run: string): Promise<{ model: string; from: number }> {
    const [row] = await system.sql<{ model: string; from: number }>(
      `select p.result #>> '{variants,0,model}' as model, (t.result ->> 'resumedFromStep')::int as from
        from step p join step t on t.run = p.run and t.node = 'train' where p.run = $1 and p.node = 'package'`,
      [run],
    );
    return row!;
  }

  /** Pids of train.py in this home. */
  function programs(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const mine = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PERENNIAL_JOB=${system.home}`);
          return mine && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('train.py');
        } catch {
          return false;
        }
      });
  }
});

// Programs of users, run for real: what they may do wrong has a name, and nothing of them is alive afterwards.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { readTar } from '../../adapters/folder/tar.js';
import { checkpointHeader, restoreCheckpoint } from '../../adapters/command/checkpoints.js';
import { killLeftPrograms } from '../../adapters/command/run.js';
import { entryArguments } from '../../adapters/paths.js';
import type { CommandSpec } from '../../domain/command.js';
import { Failure } from '../../domain/failures.js';
import { follow, livingWith, place, scene, training } from './programs.js';

const mark = `perennial-test-${randomUUID().slice(0, 8)}`;
const living = () =>
  livingWith(
    mark,
    readdirSync('/proc').filter((name) => /^\d+$/.test(name)),
  );
afterEach(() => expect(living()).toEqual([]));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const model = 'echo model > "$PERENNIAL_JOB/model.onnx"';
const sh = (...lines: string[]) => ({ 'main.sh': [`: ${mark}`, ...lines].join('\n') });

async function failureOf(spec: CommandSpec, secrets: string[] = []): Promise<{ failure: string; detail: string }> {
  const { run } = follow(spec, { secrets });
  const error: unknown = await (
    await run
  ).done.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw error;
  return { failure: error.failure, detail: error.message };
}

test('a program that does its work: metrics in order, the newest checkpoint, the model', async () => {
  const spec = scene(
    sh(
      'cd "$PERENNIAL_JOB"; mkdir -p checkpoint',
      `for i in 1 2 3; do echo "{\\"step\\": $i, \\"loss\\": 0.$i, \\"note\\": \\"x\\"}" >> metrics.jsonl`,
      'mkdir checkpoint.tmp; echo $i > checkpoint.tmp/state; mv checkpoint.tmp checkpoint/$i; sleep 0.25; done',
      'echo no json >> metrics.jsonl',
      model,
    ),
  );
  const { run, seen } = follow(spec);
  const done = await (await run).done;
  expect(done).toEqual({ path: join(spec.folder, 'job/model.onnx'), steps: 3, loss: 0.3 });
  expect(seen.lines).toEqual([1, 2, 3].map((step) => ({ step, values: { loss: step / 10 } })));
  const steps = seen.checkpoints.map(({ step }) => step);
  expect(steps.length).toBeGreaterThan(0);
  expect(steps).toEqual([...steps].sort());
  const last = seen.checkpoints.at(-1)!;
  expect(await checkpointHeader(last.path)).toEqual({ version: 1, step: last.step, inputsDigest: 'sha256:of-a-test' });
  const names: string[] = [];
  for await (const { path } of readTar(createReadStream(last.path))) names.push(path);
  expect(names).toEqual(['perennial.json', `${last.step}/state`]);
});

test('its environment is what it was given, and nothing of ours', async () => {
  process.env['PERENNIAL_TEST_SECRET'] = 'of the worker';
  const spec = scene(sh('env > "$PERENNIAL_JOB/env"', 'pwd >> "$PERENNIAL_JOB/env"', model));
  await (
    await follow(spec).run
  ).done;
  delete process.env['PERENNIAL_TEST_SECRET'];
  const lines = readFileSync(join(spec.folder, 'job/env'), 'utf8').trim().split('\n');
  const names = lines.filter((line) => line.includes('=')).map((line) => line.split('=')[0]);
  expect(names.filter((name) => !['_', 'SHLVL', 'OLDPWD', 'PWD'].includes(name!)).sort()).toEqual(
    Object.keys(spec.env).sort(),
  );
  expect(lines.at(-1)).toBe(spec.cwd);
});

describe('a program that goes wrong has a name', () => {
  test('no such program', async () => {
    expect(await failureOf(scene({}, { command: ['no-such-program'] }))).toEqual({
      failure: 'CommandFailed',
      detail: 'the program does not start: spawn no-such-program ENOENT',
    });
  });

  test('a code other than 0, with its last lines', async () => {
    const { failure, detail } = await failureOf(scene(sh('seq 100', 'echo "no such column" >&2', 'exit 3')));
    expect(failure).toBe('CommandFailed');
    expect(detail).toContain('ended with code 3; its last lines:');
    expect(detail).toContain('\n100');
    expect(detail).toContain('no such column');
    expect(detail.split('\n').length).toBeLessThan(25);
  });

  test('killed from outside: tried again', async () => {
    expect(await failureOf(scene(sh('kill -KILL $$')))).toMatchObject({
      failure: 'ChildDied',
      detail: expect.stringContaining('SIGKILL'),
    });
  });

  test('hangs', async () => {
    const { failure, detail } = await failureOf(
      scene(sh('trap "" TERM', 'echo begun', `sleep 1000 # ${mark}`), { deadlineMs: 700 }),
    );
    expect([failure, detail]).toEqual(['CommandTimedOut', 'the program ran longer than 0.7 s; its last lines:\nbegun']);
  });

  test('no model, a model that is a folder or a link', async () => {
    const left = ['true', 'mkdir "$PERENNIAL_JOB/model.onnx"', 'ln -s /etc/passwd "$PERENNIAL_JOB/model.onnx"'];
    const found = await Promise.all(left.map((line) => failureOf(scene(sh(line)))));
    expect(found.map(({ failure }) => failure)).toEqual(left.map(() => 'CommandNoModel'));
  });

  test('writes more than it may', async () => {
    const spec = scene(sh(`head -c 10G /dev/zero > "$TMPDIR/${mark}"`, model), { diskMb: 20 });
    expect(await failureOf(spec)).toMatchObject({
      failure: 'CommandDiskExceeded',
      detail: expect.stringContaining('of 20 MiB'),
    });
  });

  test('uses more memory than it may, in a child of its', async () => {
    const hog = `"${process.execPath}" -e "const kept = []; setInterval(() => kept.push(Buffer.alloc(2e7, 1)), 10) // ${mark}"`;
    const { failure, detail } = await failureOf(scene(sh(`${hog} & wait`), { memoryMb: 300 }));
    expect([failure, detail]).toEqual([
      'CommandMemoryExceeded',
      expect.stringMatching(/processes used \d+ MiB of 300 MiB/),
    ]);
  });

  test('starts processes without end', async () => {
    const spec = scene(sh('i=0; while [ $i -lt 1100 ]; do sleep 100 & i=$((i+1)); done; wait'));
    expect((await failureOf(spec)).failure).toBe('CommandForked');
  });

  test('leaves processes behind: in its group, in a session of their own, without its environment', async () => {
    const away = [
      `sh -c "sleep 98.7; : ${mark}" &`,
      `setsid sh -c "sleep 97.6; : ${mark}" > /dev/null 2>&1 &`,
      `(setsid env -i /bin/sh -c "sleep 96.5; : ${mark}" > /dev/null 2>&1 &)`,
      `setsid env -i /bin/sh -c "cd /; sleep 95.4; : ${mark}" > /dev/null 2>&1 &`,
    ];
    const found = await Promise.all(away.map((line) => failureOf(scene(sh(line, 'sleep 0.6', model)))));
    for (const { failure, detail } of found) {
      expect([failure, detail]).toEqual([
        'CommandLeftProcesses',
        expect.stringMatching(/but [12] of its processes did not: /),
      ]);
    }
  });

  test('prints a secret, in one piece or two', async () => {
    const secret = 'hunter2-hunter2';
    const printing = ['echo "the key is hunter2-hunter2"', 'printf hunter2; sleep 0.3; echo -hunter2; exit 1'];
    const found = await Promise.all(printing.map((line) => failureOf(scene(sh(line, model)), [secret])));
    for (const { failure, detail } of found) {
      expect(failure).toBe('CommandPrintedSecret');
      expect(detail).not.toContain('hunter2');
    }
  });

  test('a checkpoint that links out of the job', async () => {
    const publish = 'mkdir -p "$PERENNIAL_JOB/checkpoint"; ln -s /etc/passwd "$PERENNIAL_JOB/checkpoint/5"; sleep 5';
    const { failure, detail } = await failureOf(scene(sh(publish, model)));
    expect([failure, detail]).toEqual(['CommandFailed', expect.stringContaining('checkpoint 5 cannot be kept')]);
  });

  test('a checkpoint folder that is a link: what lies behind it stays', async () => {
    const elsewhere = join(place, 'elsewhere');
    for (const name of ['1', '5']) mkdirSync(join(elsewhere, name), { recursive: true });
    const { failure, detail } = await failureOf(scene(sh(`ln -s ${elsewhere} "$PERENNIAL_JOB/checkpoint"; sleep 5`)));
    expect([failure, detail]).toEqual(['CommandFailed', 'checkpoint is no folder but a link or a file']);
    expect(readdirSync(elsewhere)).toEqual(['1', '5']);
  });

  test('a checkpoint past the last step', async () => {
    const { failure, detail } = await failureOf(
      scene(sh('mkdir -p "$PERENNIAL_JOB/checkpoint/1732204800000"; sleep 5')),
    );
    expect([failure, detail]).toEqual(['CommandFailed', 'checkpoint/1732204800000 is no step up to 2147483647']);
  });
});

/** Adds up line by line, with a checkpoint after each; the sum depends on every step. */
const counter = `// ${mark}
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
process.chdir(process.env.PERENNIAL_JOB);
mkdirSync('checkpoint', { recursive: true });
const last = Math.max(0, ...readdirSync('checkpoint').map(Number).filter(Number.isInteger));
let state = last > 0 ? JSON.parse(readFileSync('checkpoint/' + last, 'utf8')) : { step: 0, sum: 1 };
const publish = () => { writeFileSync('checkpoint.tmp', JSON.stringify(state)); renameSync('checkpoint.tmp', 'checkpoint/' + state.step); };
process.on('SIGTERM', () => { publish(); process.exit(0); });
while (state.step < 40) {
  state = { step: state.step + 1, sum: (state.sum * 31 + state.step) % 1000003 };
  appendFileSync('metrics.jsonl', JSON.stringify({ step: state.step, loss: 1 / state.step }) + '\\n');
  publish();
  await sleep(25);
}
writeFileSync('model.onnx', JSON.stringify(state));
`;
const counting = (given: Partial<CommandSpec> = {}) =>
  scene({ 'main.mjs': counter }, { command: [process.execPath, 'main.mjs', mark], ...given });

async function resumed(kept: string): Promise<{ model: string; first: number }> {
  const { step } = await checkpointHeader(kept);
  const spec = counting({ training: training(step) });
  await restoreCheckpoint(kept, join(spec.folder, 'job/checkpoint'), 1e6);
  const { run, seen } = follow(spec);
  const { path } = await (await run).done;
  return { model: readFileSync(path, 'utf8'), first: seen.lines[0]!.step };
}

describe('killed and gone on with', () => {
  let whole = '';
  beforeAll(async () => {
    whole = readFileSync((await (await follow(counting()).run).done).path, 'utf8');
  });

  test.each(['program', 'child', 'drain'] as const)(
    '%s: the same model, from the last stored checkpoint',
    async (what) => {
      const spec = counting();
      const kept = join(spec.folder, 'kept.tar');
      let last = 0;
      const { run, pids } = follow(spec, {
        on: {
          checkpoint: async ({ step, path }) => {
            await copyFile(path, kept);
            last = step;
          },
        },
      });
      const live = await run;
      await vi.waitFor(() => expect(last).toBeGreaterThan(3), { timeout: 10_000, interval: 10 });
      if (what === 'drain') void live.stop();
      else if (what === 'child') process.kill(pids[0]!, 'SIGKILL');
      else {
        const { pid } = livingPrograms()[0]!;
        process.kill(pid, 'SIGKILL');
      }
      const failure: unknown = await live.done.catch((error: unknown) => error);
      expect(failure).toMatchObject({ failure: what === 'drain' ? 'WorkerShutdown' : 'ChildDied' });
      expect(living()).toEqual([]);
      const again = await resumed(kept);
      expect(again.first).toBe((await checkpointHeader(kept)).step + 1);
      expect(again.model).toBe(whole);
    },
  );

  test('a program that does not heed SIGTERM is killed after its time', async () => {
    const spec = scene(sh('trap "" TERM', 'echo begun > "$PERENNIAL_JOB/begun"', 'while true; do sleep 0.2; done'));
    const live = await follow(spec).run;
    await vi.waitFor(() => expect(existsSync(join(spec.folder, 'job/begun'))).toBe(true), { timeout: 5_000 });
    const from = performance.now();
    await live.stop();
    expect(performance.now() - from).toBeGreaterThan(900);
    await expect(live.done).rejects.toMatchObject({ failure: 'WorkerShutdown' });
  });

  test('a worker killed with -9 takes the program along', async () => {
    const spec = counting({ deadlineMs: 60_000 });
    writeFileSync(join(spec.folder, 'scene.json'), JSON.stringify(spec));
    const [runner, ...rest] = entryArguments('test/support/lonely-worker.ts');
    const worker = spawn(process.execPath, [runner!, ...rest, join(spec.folder, 'scene.json')], { stdio: 'ignore' });
    await vi.waitFor(() => expect(living().length).toBeGreaterThan(0), { timeout: 10_000, interval: 20 });
    worker.kill('SIGKILL');
    await vi.waitFor(() => expect(living()).toEqual([]), { timeout: 5_000, interval: 20 });
  });

  test('what a worker and its child left is killed at the next start', async () => {
    const scratch = join(place, 'scratch');
    const folder = join(scratch, `train~${(await import('node:os')).hostname()}~999999~x~${randomUUID()}`);
    const spec = scene(sh(`setsid sh -c "sleep 95; : ${mark}"`));
    const env = { ...spec.env, PERENNIAL_JOB: `${folder}/job` };
    mkdirSync(folder, { recursive: true });
    // killed while it wrote that
    writeFileSync(join(folder, 'spec.json'), '');
    spawn('sh', ['-c', `setsid sleep 94.3 & : ${mark}; wait`], { env, stdio: 'ignore', detached: true }).unref();
    await vi.waitFor(() => expect(living().length).toBeGreaterThan(0));
    await sleep(50);
    expect(await killLeftPrograms(scratch)).toBeGreaterThan(0);
    expect(living()).toEqual([]);
  });
});

function livingPrograms(): { pid: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.mjs') &&
          readFileSync(`/proc/${pid}/environ`, 'utf8').includes(place)
          ? [{ pid: Number(pid) }]
          : [];
      } catch {
        return [];
      }
    });
}

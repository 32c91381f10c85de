// The parts of a program's surroundings that need no program: lock files, container command lines, secrets in text.
import { expect, test } from 'vitest';
import { containerCommand, findRuntime } from '../../adapters/command/container.js';
import { parseLock } from '../../adapters/command/environment.js';
import { Output, realSecrets, withoutSecrets } from '../../adapters/command/output.js';
import { parseMetricLine } from '../../domain/command.js';

test('a lock file is read line by line, and what is not pinned is named', () => {
  const hash = `--hash=sha256:${'a'.repeat(64)}`;
  const text = `# made by hand\nnumpy==2.4.6 \\\n    ${hash}\n\ntorch[all] == 2.15.0 ; python_version < "3.13" # why\n`;
  expect(parseLock(text)).toEqual([
    { name: 'numpy', line: `numpy==2.4.6 ${hash}`, hashed: true },
    { name: 'torch', line: 'torch[all] == 2.15.0 ; python_version < "3.13"', hashed: false },
  ]);
  expect(parseLock('')).toEqual([]);
  for (const line of [
    'numpy',
    'numpy>=2',
    '-r other.txt',
    '--index-url=x',
    './local.whl',
    'a @ file:///etc/passwd',
    'a==1.*',
    'a==1 --hash=sha512:00',
  ]) {
    expect(() => parseLock(line)).toThrow(`requirements.txt: ${JSON.stringify(line)} is not pinned as name==version`);
  }
});

test('the command line of a container: closed, limited, removed afterwards, operator’s values by name', () => {
  const given = {
    ...{ runtime: 'docker', image: `python@sha256:${'a'.repeat(64)}`, name: 'perennial-1', folder: '/scratch/x' },
    ...{ program: ['python', 'train.py'], env: { PERENNIAL_JOB: '/perennial/job' }, passed: ['KEY'], memoryMb: 512 },
    ...{ devices: ['0'], network: 'none', user: { uid: 1000, gid: 1000 } },
  };
  const { command, cleanUp } = containerCommand(given);
  expect(command.join(' ')).toBe(
    'docker run --rm --init --name perennial-1 --network none --user 1000:1000 --memory 512m --memory-swap 512m ' +
      '--pids-limit 1000 --cap-drop ALL --security-opt no-new-privileges -v /scratch/x/code:/perennial/code ' +
      '-v /scratch/x/job:/perennial/job -w /perennial/code -e PERENNIAL_JOB=/perennial/job -e KEY ' +
      `--gpus "device=0" ${given.image} python train.py`,
  );
  expect(cleanUp).toEqual(['docker', 'rm', '--force', 'perennial-1']);
});

test('the first runtime that answers is taken; without one the failure says what was looked for', async () => {
  const podman = (runtime: string) => (runtime === 'podman' ? Promise.resolve() : Promise.reject(new Error('no')));
  expect(await findRuntime(podman)).toBe('podman');
  const silent = Object.assign(new Error('x'), { stderr: 'first\nCannot connect to the daemon\n' });
  const none = (runtime: string) =>
    Promise.reject(runtime === 'docker' ? silent : Object.assign(new Error('x'), { code: 'ENOENT' }));
  await expect(findRuntime(none)).rejects.toMatchObject({
    failure: 'ContainerUnavailable',
    message: expect.stringContaining('docker does not answer: Cannot connect to the daemon; podman is not on the PATH'),
  });
});

test('secrets are found across chunks and shown as •••, the longer one first; short words are none', () => {
  const secrets = ['password-1', 'postgres://me:password-1@host/db', 'short'];
  expect(realSecrets(secrets)).toEqual(['postgres://me:password-1@host/db', 'password-1']);
  expect(withoutSecrets('at postgres://me:password-1@host/db with password-1', realSecrets(secrets))).toBe(
    'at ••• with •••',
  );
  const output = new Output(secrets);
  const [out, err] = [output.reader(), output.reader()];
  expect([out(Buffer.from('passw')), err(Buffer.from('ord-1')), out(Buffer.from('ord-1\n'))]).toEqual([
    false,
    false,
    true,
  ]);
  expect(output.tail(5)).not.toContain('password-1\n');
  const long = new Output([]);
  const take = long.reader();
  for (let i = 0; i < 30_000; i++) take(Buffer.from(`line ${i}\n`));
  expect(long.tail(2)).toBe('line 29998\nline 29999');
});

test('a metric line has a step; what is no finite number is left out', () => {
  expect(parseMetricLine('{"step": 3, "loss": 0.5, "auc": null, "note": "x", "a b": 1, "lr": 1e-3}')).toEqual({
    step: 3,
    values: { loss: 0.5, lr: 0.001 },
  });
  for (const line of ['', '{', '[]', '3', 'null', '{"loss": 1}', '{"step": -1}', '{"step": 1.5}', '{"step": 1e12}']) {
    expect(parseMetricLine(line)).toBeNull();
  }
});

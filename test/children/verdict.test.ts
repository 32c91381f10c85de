// Programs that check, run for real: only a verdict is a verdict, and nothing of them is alive afterwards.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { readVerdict } from '../../adapters/command/verdict.js';
import type { CommandSpec } from '../../domain/command.js';
import { Failure } from '../../domain/failures.js';
import { follow, livingWith, place, scene } from './programs.js';

const mark = `perennial-test-${randomUUID().slice(0, 8)}`;
const living = () =>
  livingWith(
    mark,
    readdirSync('/proc').filter((name) => /^\d+$/.test(name)),
  );
afterEach(() => expect(living()).toEqual([]));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const secret = 'hunter2-hunter2';
const saying = (verdict: string) => `printf '%s' '${verdict}' > "$PERENNIAL_JOB/verdict.json"`;
const passing = saying('{"passed": true, "reason": "all is well", "value": 0.5}');
const checking = (lines: string[], given: Partial<CommandSpec> = {}) =>
  scene({ 'main.sh': [`: ${mark}`, ...lines].join('\n') }, { training: null, drainMs: 0, ...given });

/** As a worker reads it, or the failure in its place. */
async function outcome(spec: CommandSpec): Promise<unknown> {
  try {
    const { path } = await (await follow(spec, { secrets: [secret] }).run).done;
    return await readVerdict(path, [secret]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return `${error.failure}: ${error.message}`;
  }
}

test('a verdict is read; metrics and checkpoints are none of it', async () => {
  const noise = 'cd "$PERENNIAL_JOB"; echo "{\\"step\\": 1}" > metrics.jsonl; mkdir checkpoint; echo 1 > checkpoint/1';
  const { run, seen } = follow(checking([noise, passing]));
  const { path, steps } = await (await run).done;
  expect(await readVerdict(path, [])).toEqual({ passed: true, reason: 'all is well', value: 0.5 });
  expect([steps, seen]).toEqual([0, { lines: [], checkpoints: [] }]);
  expect(await outcome(checking([saying('{"passed": false, "reason": "no"}')]))).toEqual({
    ...{ passed: false, reason: 'no', value: null },
  });
});

describe('a passing verdict counts for nothing where the program', () => {
  test.each<[string, string[], Partial<CommandSpec>, string]>([
    ['ends with an error', [passing, 'echo oh >&2', 'exit 3'], {}, 'CommandFailed: the program ended with code 3'],
    ['crashes', [passing, 'kill -SEGV $$'], {}, 'CommandFailed: the program was ended by SIGSEGV'],
    ['is killed', [passing, 'kill -KILL $$'], {}, 'ChildDied: the program was ended by SIGKILL'],
    [
      'hangs',
      [passing, `sleep 99 # ${mark}`],
      { deadlineMs: 600 },
      'CommandTimedOut: the program ran longer than 0.6 s',
    ],
    ['leaves processes', [`sh -c "sleep 98; : ${mark}" &`, passing], {}, 'CommandLeftProcesses: '],
    [
      'prints a secret',
      [passing, `echo ${secret}`, 'sleep 5'],
      {},
      'CommandPrintedSecret: the program printed a value',
    ],
    ['writes too much', [passing, 'head -c 90M /dev/zero > x; sleep 9'], { diskMb: 20 }, 'CommandDiskExceeded: '],
  ])('%s', async (_what, lines, given, expected) => {
    const said = await outcome(checking(lines, given));
    expect(said).toContain(expected);
    expect(said).not.toContain(secret);
  });
});

test('what is no verdict has a name', async () => {
  const file = '"$PERENNIAL_JOB/verdict.json"';
  const cases: [string, string][] = [
    [
      'echo done',
      'CommandNoVerdict: the program ended with code 0 and left no file verdict.json; its last lines:\ndone',
    ],
    [`mkdir ${file}`, 'CommandNoVerdict: '],
    [`mkfifo ${file}`, 'CommandNoVerdict: '],
    [
      `${saying('{"passed": true, "reason": "x"}')}; cd "$PERENNIAL_JOB"; mv verdict.json v; ln -s v verdict.json`,
      'CommandNoVerdict: ',
    ],
    [`head -c 65537 /dev/zero > ${file}`, 'CommandVerdictInvalid: verdict.json has 65537 bytes, 65536 are allowed'],
    [`echo yes > ${file}`, 'CommandVerdictInvalid: verdict.json is no JSON'],
    [
      saying('{"passed": "yes", "reason": "x"}'),
      'CommandVerdictInvalid: verdict.json is no verdict: passed: found "yes"',
    ],
  ];
  const said = await Promise.all(cases.map(([line]) => outcome(checking([line]))));
  for (const [index, [line, expected]] of cases.entries()) expect(said[index], line).toContain(expected);
});

test('a secret in a verdict is not told, however it is written', async () => {
  const escaped = `\\u0068${secret.slice(1)}`;
  const texts = [
    `{"passed": true, "reason": "the key is ${secret}"}`,
    `{"passed": true, "reason": "the key is ${escaped}"}`,
    `{"passed": "${escaped}", "reason": "x"}`,
    `{"passed": true, "reason": "x", "${escaped}": 1}`,
    `no JSON but ${secret}`,
  ];
  const path = join(place, 'verdict.json');
  for (const text of texts) {
    writeFileSync(path, text);
    await expect(readVerdict(path, [secret]), text).rejects.toMatchObject({
      ...{ failure: 'CommandPrintedSecret', message: expect.not.stringContaining('hunter2') },
    });
  }
});

test('read again, the file must still be a small plain one', async () => {
  const path = join(place, 'other.json');
  await expect(readVerdict(path, [])).rejects.toMatchObject({ failure: 'CommandNoVerdict' });
  symlinkSync('/etc/passwd', path);
  await expect(readVerdict(path, [])).rejects.toMatchObject({ failure: 'CommandNoVerdict' });
  rmSync(path);
  execFileSync('sh', ['-c', `mkfifo "${path}"`]);
  await expect(readVerdict(path, [])).rejects.toMatchObject({ failure: 'CommandVerdictInvalid' });
  rmSync(path);
  writeFileSync(path, ' '.repeat(70_000));
  await expect(readVerdict(path, [])).rejects.toMatchObject({ failure: 'CommandVerdictInvalid' });
});

test('drained, it is ended at once', async () => {
  const live = await follow(checking(['trap "" TERM', `while true; do sleep 0.1; done # ${mark}`])).run;
  await live.stop();
  await expect(live.done).rejects.toMatchObject({ failure: 'WorkerShutdown' });
});

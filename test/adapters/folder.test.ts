import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { codeLimits, packFolder, readFolder, unpackFolder } from '../../adapters/folder/index.js';
import { archiveEnd, fileHeader, filler } from '../../adapters/folder/tar.js';
import { isFailureName } from '../../domain/failures.js';

const root = mkdtempSync(join(tmpdir(), 'perennial-code-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let next = 0;
const fresh = () => join(root, `f${next++}`);
const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'ü'.repeat(60)}.txt`;

function sample(): string {
  const folder = fresh();
  mkdirSync(join(folder, 'sub/empty'), { recursive: true });
  mkdirSync(join(folder, long, '..'), { recursive: true });
  mkdirSync(join(folder, '__pycache__'));
  writeFileSync(join(folder, '__pycache__/x.pyc'), 'x');
  writeFileSync(join(folder, 'train.py'), 'print(1)\n');
  writeFileSync(join(folder, 'sub/data.bin'), Buffer.alloc(3000, 7));
  writeFileSync(join(folder, 'sub/none'), '');
  writeFileSync(join(folder, long), 'deep');
  chmodSync(join(folder, 'train.py'), 0o755);
  return folder;
}

async function packed(folder: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packFolder(folder, await readFolder(folder, codeLimits))) chunks.push(chunk);
  return Buffer.concat(chunks);
}
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const unpacked = (bytes: Uint8Array | Iterable<Uint8Array>, limits = codeLimits) => {
  const folder = fresh();
  return unpackFolder(Readable.from(bytes instanceof Uint8Array ? [bytes] : bytes), folder, limits).then((found) => ({
    folder,
    ...found,
  }));
};
const why = (bytes: Uint8Array, limits = codeLimits) =>
  unpacked(bytes, limits).then(
    () => 'taken',
    (error: { failure?: unknown; message: string }) =>
      isFailureName(error.failure) ? `${error.failure}: ${error.message}` : `${error}`,
  );
const archive = (...files: [string, string][]) =>
  Buffer.concat([
    ...files.flatMap(([path, text]) => [
      fileHeader(path, Buffer.byteLength(text), false),
      Buffer.from(text),
      filler(Buffer.byteLength(text)),
    ]),
    archiveEnd,
  ]);

/** As `bytes`, with another type in the first header. */
function typed(type: string, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes);
  out.write(type, 156, 'latin1');
  out.write('        ', 148, 'latin1');
  const sum = out.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  out.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return out;
}

describe('a folder', () => {
  test('is the same bytes whatever its times and the order it was written in; another byte is another digest', async () => {
    const [one, two] = [sample(), sample()];
    utimesSync(join(two, 'train.py'), 1, 1);
    const first = await packed(one);
    expect(digest(await packed(two))).toBe(digest(first));
    writeFileSync(join(two, 'train.py'), 'print(2)\n');
    expect(digest(await packed(two))).not.toBe(digest(first));
    chmodSync(join(one, 'train.py'), 0o644);
    expect(digest(await packed(one))).not.toBe(digest(first));
  });

  test('comes back from its archive, however the bytes arrive, and tar reads it too', async () => {
    const bytes = await packed(sample());
    for (const step of [1, 511, 100_000]) {
      const parts = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) =>
        bytes.subarray(i * step, (i + 1) * step),
      );
      const { folder, files, sizeBytes } = await unpacked(step === 1 ? parts.slice() : parts);
      expect([files, sizeBytes]).toEqual([4, 3013]);
      expect(readFileSync(join(folder, long), 'utf8')).toBe('deep');
      expect(statSync(join(folder, 'train.py')).mode & 0o777).toBe(0o755);
      expect(digest(await packed(folder))).toBe(digest(bytes));
    }
    writeFileSync(join(root, 'ours.tar'), bytes);
    const listed = execFileSync('tar', ['-tf', join(root, 'ours.tar')], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    expect(listed.trim().split('\n')).toContain('sub/data.bin');
    expect(listed.split('\n')).toHaveLength(5);
  });

  test.each(['gnu', 'pax', 'ustar', 'v7', 'oldgnu'])(
    'archives of tar in the format %s have the same digest',
    async (format) => {
      const folder = sample();
      if (['ustar', 'v7'].includes(format)) rmSync(join(folder, long.split('/')[0]!), { recursive: true });
      const file = `${fresh()}.tar`;
      execFileSync('tar', [`--format=${format}`, '--exclude=__pycache__', '-cf', file, '-C', folder, '.']);
      const out = fresh();
      await unpackFolder(createReadStream(file), out, codeLimits);
      expect(digest(await packed(out))).toBe(digest(await packed(folder)));
    },
  );

  test('with links or more than the limits is refused', async () => {
    const folder = sample();
    symlinkSync('/etc/passwd', join(folder, 'sub/link'));
    await expect(readFolder(folder, codeLimits)).rejects.toMatchObject({
      failure: 'CodeRefused',
      message: expect.stringContaining('sub/link'),
    });
    await expect(readFolder(sample(), { mostFiles: 3, mostBytes: 1e6 })).rejects.toThrow('more than 3 files');
    await expect(readFolder(sample(), { mostFiles: 30, mostBytes: 100 })).rejects.toThrow('more than 100 bytes');
  });
});

describe('a hostile archive', () => {
  test('leads nowhere out of its folder', async () => {
    for (const path of ['../out', 'a/../../out', '/etc/cron.d/x', 'a/..', '..']) {
      expect(await why(archive([path, 'x']))).toMatch(
        /^CodeRefused: ".*" (leads out of the directory|is no path here)$/,
      );
    }
  });

  test('brings no links, devices, pipes or names given twice', async () => {
    for (const type of ['1', '2', '3', '4', '6', 'S']) {
      expect(await why(typed(type, archive(['a', ''])))).toContain('CodeRefused: a is no file and no folder');
    }
    expect(await why(archive(['a', '1'], ['./a', '2']))).toBe('CodeRefused: a is in the archive twice');
    expect(await why(archive(['a', '1'], ['a/b', '2']))).toMatch(
      /^CodeRefused: a\/b (lies below a file|is in the archive twice)$/,
    );
  });

  test('is no larger than allowed', async () => {
    expect(await why(archive(['a', 'x'.repeat(2000)]), { mostFiles: 9, mostBytes: 1000 })).toContain(
      'more than 1000 bytes',
    );
    expect(await why(archive(['a/', ''], ['b/', ''], ['c/', '']), { mostFiles: 1, mostBytes: 1000 })).toContain(
      'more than 2 files and folders',
    );
    expect(await why(archive(['a', ''], ['b', '']), { mostFiles: 1, mostBytes: 1000 })).toContain('more than 1 files');
  });

  test('is whole, and a tar archive at all', async () => {
    const good = archive(['a', 'x'.repeat(700)]);
    expect(await why(good.subarray(0, 800))).toBe('CodeRefused: the archive is broken: it is cut off');
    expect(await why(Buffer.alloc(0))).toContain('it is empty');
    expect(await why(Buffer.from('PK\u0003\u0004'.padEnd(2000)))).toContain('is it a tar archive?');
    expect(await why(typed('L', archive(['a', 'x'])).fill(0xff, 512, 513))).toContain('a name is not UTF-8');
  });
});

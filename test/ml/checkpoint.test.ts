import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Json } from '../../domain/json.js';
import { decodeCheckpoint, encodeCheckpoint, readCheckpointHeader } from '../../ml/trainers/checkpoint.js';
import { fileRows, memoryRows } from '../../ml/trainers/rows.js';
import { toyData, trainSpec } from './spec.js';

const folder = mkdtempSync(join(tmpdir(), 'perennial-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const spec = trainSpec({ rows: 1, width: 1, outputs: 2 });

test('any snapshot comes back as it was, from any kind of buffer; the header is read alone', async () => {
  const array = fc.oneof(fc.float32Array(), fc.float64Array(), fc.int32Array(), fc.uint8Array());
  const snapshots = fc.record({
    step: fc.nat(),
    facts: fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<{ [key: string]: Json }>,
    arrays: fc.dictionary(fc.stringMatching(/^[a-z]+$/), array),
  });
  await fc.assert(
    fc.asyncProperty(snapshots, fc.nat({ max: 9 }), async (snapshot, shift) => {
      const bytes = encodeCheckpoint(spec, { epoch: 3 }, snapshot);
      const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
      const { header, snapshot: found } = decodeCheckpoint(moved);
      expect(found.arrays).toEqual(snapshot.arrays);
      expect(JSON.stringify(found.facts)).toBe(JSON.stringify(snapshot.facts));
      const path = join(folder, 'any.state');
      writeFileSync(path, bytes);
      expect(await readCheckpointHeader(path)).toEqual(header);
      expect(header).toMatchObject({ step: snapshot.step, epoch: 3, trainer: 'linear' });
    }),
    { numRuns: 60 },
  );
});

test('rows from files are rows from memory; files of another size are ArtifactCorrupt', async () => {
  const { x, y } = toyData(7, 3, 2);
  const part = { rows: 7, x: join(folder, 'x.f32'), y: join(folder, 'y.f32') };
  writeFileSync(part.x, new Uint8Array(x.buffer));
  writeFileSync(part.y, new Uint8Array(y.buffer));
  for (const rows of [await fileRows(part, 3), memoryRows(x, y, 3)]) {
    expect(rows).toMatchObject({ rows: 7, width: 3, y });
    const into = new Float32Array(9).fill(5);
    await rows.read(4, 2, into);
    expect([...into]).toEqual([...x.subarray(12, 18), 5, 5, 5]);
  }
  for (const wrong of [
    { ...part, rows: 6 },
    { ...part, y: part.x },
    { ...part, x: part.y },
  ]) {
    await expect(fileRows(wrong, 3)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
  }
  const weights = join(folder, 'weights.f32');
  writeFileSync(weights, new Uint8Array(y.map((value) => value / 2).buffer));
  expect((await fileRows({ ...part, weights }, 3)).weights).toEqual(y.map((value) => value / 2));
  await expect(fileRows({ ...part, weights: part.x }, 3)).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
  const rows = await fileRows(part, 3);
  writeFileSync(part.x, new Uint8Array(x.buffer, 0, 24));
  await expect(rows.read(0, 7, new Float32Array(21))).rejects.toMatchObject({ failure: 'ArtifactCorrupt' });
});

// Lease and submit over HTTP with 50 labelers at once on all cores of this machine, Postgres and the labelers among them:
// the 99th percentile of one person's two calls, each on a batch of 20,000 items with overlap 2.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, type LabelingBed, type Leased, labelingBed, persistently } from './labeling.support.js';

const [people, turns, warm] = [50, 40, 5];

/** What each part spends on a turn, from when all are warm until the first is done. */
async function watchCpu(bed: LabelingBed, done: () => number): Promise<string> {
  await sleep((warm + 1) * 1_000);
  const [before, from] = [await cpuSeconds(bed), done()];
  await sleep((turns - warm - 3) * 1_000);
  const [after, to] = [await cpuSeconds(bed), done()];
  return Object.entries(after)
    .map(([name, seconds]) => `${name} ${((1_000 * (seconds - (before[name] ?? 0))) / (to - from)).toFixed(2)}`)
    .join(', ');
}

/** Milliseconds. */
export async function bench() {
  const bed = await labelingBed(20_000, { overlap: { min: 2, max: 2, confidence: 0.9 } });
  try {
    const times: number[] = [];
    let done = 0;
    const label = async (who: number): Promise<void> => {
      const labeler = `person-${who}`;
      // people read and think; a labeler who answers in a second is a fast one
      await sleep((1_000 * who) / people);
      for (let turn = 0; turn < turns; turn += 1) {
        const began = performance.now();
        const { tasks } = await persistently<{ tasks: Leased[] }>(bed, 'lease', { labeler, count: 1 });
        const annotations = tasks.map(({ taskId, fence }) => ({ taskId, fence, label: '1' }));
        await persistently(bed, 'annotations', { labeler, annotations });
        const took = performance.now() - began;
        done += 1;
        if (turn >= warm) times.push(took);
        await sleep(Math.max(0, 1_000 - took));
      }
    };
    const spent = watchCpu(bed, () => done);
    await Promise.all(Array.from({ length: people }, (_, who) => label(who)));
    const sorted = times.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
    console.error(`median ${at(0.5).toFixed(1)} ms, p90 ${at(0.9).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`);
    console.error(`CPU ms a turn: ${await spent}`);
    return { ours: at(0.99), peer: null, ratio: null, unit: 'ms', runs: times.length };
  } finally {
    await bed.stop();
  }
}

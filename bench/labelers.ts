// 200 labelers give 20,000 answers while the API and the database are killed: how many items have more answers than were
// wanted, how many answers are lost, how many doubled. Each person repeats what was not confirmed, as the page does.
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { createRandom } from '../stats/prng.js';
import { type LabelingBed, type Leased, labelingBed, persistently, Refused } from './labeling.support.js';

const [people, answers, overlap, kills, seed] = [200, 20_000, 2, 10, 1];

interface Annotated {
  accepted: number;
  surplus: number;
  refused: { taskId: string; reason: string }[];
}

/** Works until nothing is left; notes every answer that was confirmed. */
async function label(bed: LabelingBed, who: number, told: Set<string>): Promise<void> {
  const labeler = `person-${who}`;
  for (let turn = 0; ; turn += 1) {
    const leased = await persistently<{ tasks: Leased[] }>(bed, 'lease', { labeler, count: 10 }).catch((error) => {
      if (error instanceof Refused && error.message.includes('batch-closed')) return null;
      throw error;
    });
    if (leased === null) return;
    // the last items are in the hands of others
    if (leased.tasks.length === 0) {
      await sleep(500);
      continue;
    }
    const annotations = leased.tasks.map(({ taskId, fence }) => ({ taskId, fence, label: String(who % 10) }));
    const key = `${labeler}/${turn}`;
    const { refused } = await persistently<Annotated>(bed, 'annotations', { labeler, annotations }, key);
    const not = new Set(refused.map(({ taskId }) => taskId));
    for (const { taskId, fence } of leased.tasks) if (!not.has(taskId)) told.add(`${taskId}/${labeler}/${fence}`);
  }
}

/** Kills the API or Postgres now and then, until told to stop. */
async function disturb(bed: LabelingBed, told: Set<string>, over: { now: boolean }): Promise<number> {
  const random = createRandom(seed);
  let done = 0;
  while (!over.now && done < kills) {
    const due = ((done + 1) * answers) / (kills + 1);
    if (told.size < due) {
      await sleep(20);
      continue;
    }
    const { pids } = await bed.running();
    const victim = random.below(2) === 0 ? pids.api : pids.postgres;
    if (victim !== null) {
      process.kill(victim, 'SIGKILL');
      done += 1;
    }
    await sleep(1_000);
  }
  return done;
}

async function count(bed: LabelingBed, statement: ReturnType<typeof sql>): Promise<number> {
  for (;;) {
    try {
      const { rows } = await bed.db.execute(statement);
      return Number((rows[0] as { n: number }).n);
    } catch {
      await sleep(200);
    }
  }
}

/** `ours`: items over their overlap, and answers lost or doubled. */
export async function bench() {
  const bed = await labelingBed(answers / overlap, { overlap: { min: overlap, max: overlap, confidence: 0.9 } });
  try {
    const told = new Set<string>();
    const over = { now: false };
    const killing = disturb(bed, told, over);
    const began = performance.now();
    await Promise.all(Array.from({ length: people }, (_, who) => label(bed, who, told)));
    over.now = true;
    const killed = await killing;
    const seconds = (performance.now() - began) / 1000;
    const counting = sql`a.outcome = 'accepted' and t.batch = ${bed.batch}`;
    const joined = sql`annotation a join label_task t on t.id = a.task`;
    const tooMany = await count(
      bed,
      sql`select count(*) as n from (select 1 from ${joined} where ${counting} group by t.id
        having count(*) <> ${overlap} or count(distinct a.annotator) <> ${overlap}) over`,
    );
    const stored = await count(bed, sql`select count(*) as n from ${joined} where t.batch = ${bed.batch}`);
    const known = await count(
      bed,
      sql`select count(*) as n from ${joined} where t.batch = ${bed.batch}
        and a.task || '/' || a.annotator || '/' || a.fence in (select jsonb_array_elements_text(${JSON.stringify([...told])}::jsonb))`,
    );
    const [lost, doubled] = [told.size - known, stored - known];
    console.error(
      `${stored} answers of ${people} people in ${seconds.toFixed(0)} s, ${killed} kills: ` +
        `${tooMany} items not answered by ${overlap}, ${lost} lost, ${doubled} doubled`,
    );
    return { ours: tooMany + lost + doubled, peer: null, ratio: null, unit: 'faults', runs: stored };
  } finally {
    await bed.stop();
  }
}

// What a batch asks and why: the reasons, the strategy's scores, the labels so far, and the items that came first.
import { sql } from 'drizzle-orm';
import type { AskReason, TaskStatus } from '../domain/labeling.js';
import { row, rows, type Tx } from './client.js';
import { isBlindTask, shownReason } from './labeling-batch.js';

export interface BatchAsked {
  /** `probability`: with which the items were drawn, on average; null where they were chosen. */
  reasons: {
    reason: AskReason;
    tasks: number;
    probability: number | null;
    /** Of the tasks whose row had a label before and got one now: how many, and with how many it is another one. */
    relabelled: number;
    changed: number;
  }[];
  /** Ten equal steps from the least to the largest score; none where nothing was scored. */
  scores: { from: number; to: number; tasks: number }[];
  /** The most frequent labels. */
  labels: { label: string; tasks: number }[];
  /** The first items in the order of the batch. */
  first: {
    key: string;
    reason: AskReason;
    score: number | null;
    probability: number | null;
    status: TaskStatus;
    label: string | null;
    /** The label that the row had before; null: none. */
    given: string | null;
    /** What the model takes it for. */
    guess: string | null;
  }[];
}

const most = 20;
const steps = 10;

/** Gold items are left out; items whose automatic label is checked are like drawn ones, as long as people answer. */
export async function batchAsked(tx: Tx, batch: string): Promise<BatchAsked> {
  const asked = sql`from label_task t where t.batch = ${batch} and t.gold is null`;
  const reasons = await rows<BatchAsked['reasons'][number]>(
    tx,
    sql`select ${shownReason} as reason, count(*)::int as tasks, avg(probability) as probability,
        count(*) filter (where status = 'labelled' and given is not null)::int as relabelled,
        count(*) filter (where status = 'labelled' and given <> label)::int as changed
      ${asked} group by 1 order by 1`,
  );
  const labels = await rows<BatchAsked['labels'][number]>(
    tx,
    sql`select label, count(*)::int as tasks ${asked} and label is not null
      group by label order by tasks desc, label collate "C" limit ${most}`,
  );
  const drawnWith = sql`select max(o.probability) from label_task o where o.batch = ${batch} and o.reason = 'explore'`;
  const first = await rows<BatchAsked['first'][number]>(
    tx,
    sql`select key, ${shownReason} as reason, status, label, given, suggestion ->> 'label' as guess,
        case when ${isBlindTask} and ${shownReason} = 'explore' then null else score end as score,
        case when t.reason <> ${shownReason} then (${drawnWith}) else probability end as probability
        ${asked} order by position limit ${most}`,
  );
  return { reasons, scores: await scoresOf(tx, batch), labels, first };
}

async function scoresOf(tx: Tx, batch: string): Promise<BatchAsked['scores']> {
  const scored = sql`from label_task t where t.batch = ${batch} and t.gold is null and t.score is not null`;
  const range = await row<{ least: number | null; largest: number | null }>(
    tx,
    sql`select min(score) as least, max(score) as largest ${scored}`,
  );
  const { least, largest } = range ?? { least: null, largest: null };
  if (least === null || largest === null) return [];
  const width = (largest - least) / steps || 1;
  const found = await rows<{ step: number; tasks: number }>(
    tx,
    sql`select least(${steps - 1}, floor((score - ${least}::float8) / ${width}::float8))::int as step, count(*)::int as tasks
      ${scored} group by step`,
  );
  const counts = new Map(found.map(({ step, tasks }) => [step, tasks]));
  return Array.from({ length: largest === least ? 1 : steps }, (_, step) => ({
    from: least + step * width,
    to: largest === least ? largest : least + (step + 1) * width,
    tasks: counts.get(step) ?? 0,
  }));
}

// Tasks lent to labelers (architecture, rule 6). A labeler's lease is fenced and renewable; a task is lent to as many
// different people as answers are wanted of it, and gold items come at places that nobody can tell beforehand.
import { sql, type SQL } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { isGoldPlace } from '../domain/label-policy.js';
import type { LeasedTask } from '../domain/label-task.js';
import { atomically, iso, json, rows, type Tx } from './client.js';
import { holdLabeler } from './labeler.js';
import { lockBatch, type LockedBatch } from './labeling-batch.js';
import { sentBack } from './labeling-reviewed.js';

export interface LeaseRequest {
  project: string;
  batch: string;
  labeler: string;
  count: number;
  /** How long an answer is awaited. Default 10 minutes. */
  ttlMs?: number;
}

/**
 * Gives tasks to a labeler: first those that this labeler holds already, with the same fence and a new expiry, then free
 * ones. Empty when nothing is left for this labeler.
 * @throws Failure `NotFound`, `BatchClosed`, `LabelerPaused`, `LabelerUnfit`
 */
export async function leaseTasks(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  return atomically(tx, async (inner) => {
    const batch = await lockBatch(inner, request.project, request.batch, 'share');
    if (batch.closed) throw new Failure('BatchClosed', `the batch ${request.batch} takes no more answers`);
    const { served } = await holdLabeler(inner, request.project, batch, request.labeler);
    const free = request.count - (await renewOwn(inner, request));
    if (free > 0) await lend(inner, request, batch, { served, count: free });
    return ownLeases(inner, request, batch);
  });
}

const ttl = (request: LeaseRequest) => sql`make_interval(secs => ${(request.ttlMs ?? 600_000) / 1000}::float8)`;

/** Answers how many the labeler holds. */
async function renewOwn(tx: Tx, request: LeaseRequest): Promise<number> {
  const renewed = await rows(
    tx,
    sql`update lease l set expires_at = clock_timestamp() + ${ttl(request)}
      where l.labeler = ${request.labeler} and l.task in (
        select own.task from lease own join label_task mine on mine.id = own.task
        where own.batch = ${request.batch} and own.labeler = ${request.labeler}
          and own.expires_at > clock_timestamp() and mine.status = 'open' and own.fence > mine.floor
        order by own.place limit ${request.count})
      returning l.task`,
  );
  return renewed.length;
}

async function ownLeases(tx: Tx, request: LeaseRequest, { policy }: LockedBatch): Promise<LeasedTask[]> {
  const found = await rows<LeasedTask>(
    tx,
    sql`select t.id as "taskId", l.fence, l.expires_at as "expiresAt", t.item,
        ${policy.suggestion === 'none' ? sql`null::jsonb` : sql`t.suggestion`} as suggestion,
        ${sentBack} as "sentBack"
      from lease l join label_task t on t.id = l.task
      where l.batch = ${request.batch} and l.labeler = ${request.labeler} and l.expires_at > clock_timestamp()
        and t.status = 'open' and l.fence > t.floor
      order by l.place, t.position limit ${request.count}`,
  );
  return found.map((task) => ({ ...task, expiresAt: iso(task.expiresAt) }));
}

/** Looks at most, since a claim may lose all its candidates to leases that were committed while it looked. */
const looks = 20;

async function lend(
  tx: Tx,
  request: LeaseRequest,
  batch: LockedBatch,
  { served, count }: { served: number; count: number },
): Promise<void> {
  const { share } = batch.policy.gold;
  const places = Array.from({ length: count }, (_, i) => served + i);
  const goldPlaces = places.filter((place) => isGoldPlace(share, `${batch.id}/${request.labeler}`, place));
  const gold = goldPlaces.length === 0 ? [] : (await claim(tx, goldItems(request), goldPlaces.length)).free;
  const asked: string[] = [];
  for (let look = 0; look < looks && asked.length + gold.length < count; look += 1) {
    // no lease is written yet, so the next look would find the same ones
    const others = sql`${askedItems(request, batch)}
      and t.id not in (select jsonb_array_elements_text(${json(asked)}))`;
    const { locked, free } = await claim(tx, others, count - gold.length - asked.length);
    if (locked === 0) break;
    asked.push(...free);
  }
  if (gold.length + asked.length === 0) return;
  await writeLeases(tx, request, inOrder({ places, goldPlaces, gold, asked }));
  await rows(
    tx,
    sql`update batch_labeler set served = served + ${gold.length + asked.length}, gold_served = gold_served + ${gold.length}
      where batch = ${batch.id} and labeler = ${request.labeler}`,
  );
}

interface Drawn {
  places: number[];
  goldPlaces: number[];
  gold: string[];
  asked: string[];
}

/** Tasks at their places: gold ones at theirs, as long as there are some, the others between them. */
function inOrder({ places, goldPlaces, gold, asked }: Drawn): { id: string; place: number }[] {
  const [tests, items] = [[...gold], [...asked]];
  return places.flatMap((place) => {
    const id = goldPlaces.includes(place) ? (tests.shift() ?? items.shift()) : (items.shift() ?? tests.shift());
    return id === undefined ? [] : [{ id, place }];
  });
}

/** Nobody sees a gold item twice (I5). */
function goldItems({ batch, labeler }: LeaseRequest): SQL {
  return sql`t.batch = ${batch} and t.gold is not null
    and not exists (select 1 from lease l where l.task = t.id and l.labeler = ${labeler})
    and not exists (select 1 from annotation a where a.task = t.id and a.annotator = ${labeler})`;
}

const liveLeases = sql`(select count(*) from lease l
  where l.task = t.id and l.fence > t.floor and l.expires_at > clock_timestamp())`;

/** Open ones with a slot left, which this labeler has not answered since they were sent back, if they were. */
function askedItems({ batch, labeler }: LeaseRequest, { policy }: LockedBatch): SQL {
  const mine = sql`select 1 from annotation a where a.task = t.id and a.annotator = ${labeler}`;
  const blocking = policy.skip.to === 'self' ? sql`and a.outcome <> 'skipped'` : sql``;
  return sql`t.batch = ${batch} and t.status = 'open' and t.gold is null and t.answered + ${liveLeases} < t.wanted
    and not exists (select 1 from lease l where l.task = t.id and l.labeler = ${labeler}
      and l.fence > t.floor and l.expires_at > clock_timestamp())
    and not exists (${mine} and a.fence > t.floor ${blocking})
    and (t.again is null or (t.again = 'same') = exists (${mine} and a.outcome <> 'skipped' and a.fence <= t.floor))`;
}

/**
 * Locks tasks that fit, then looks again with a snapshot taken under those locks: another lease may have been committed
 * between. Answers how many seemed to fit, and which may be lent.
 */
async function claim(tx: Tx, fits: SQL, count: number): Promise<{ locked: number; free: string[] }> {
  const locked = await rows<{ id: string }>(
    tx,
    sql`select t.id from label_task t where ${fits} order by t.position limit ${count} for update of t skip locked`,
  );
  if (locked.length === 0) return { locked: 0, free: [] };
  const free = await rows<{ id: string }>(
    tx,
    sql`select t.id from label_task t
      where t.id in (select jsonb_array_elements_text(${json(locked.map(({ id }) => id))})) and ${fits}
      order by t.position`,
  );
  return { locked: locked.length, free: free.map(({ id }) => id) };
}

async function writeLeases(tx: Tx, request: LeaseRequest, chosen: { id: string; place: number }[]): Promise<void> {
  await rows(
    tx,
    sql`with chosen as (
        select id, place from jsonb_to_recordset(${json(chosen)}) as c (id text, place int)
      ), taken as (
        update label_task t set fence = t.fence + 1 from chosen c where t.id = c.id returning t.id, t.fence, c.place
      )
      insert into lease (task, batch, labeler, fence, place, leased_at, expires_at)
      select id, ${request.batch}, ${request.labeler}, fence, place, clock_timestamp(), clock_timestamp() + ${ttl(request)}
      from taken
      on conflict (task, labeler) do update set fence = excluded.fence, place = excluded.place,
        leased_at = excluded.leased_at, expires_at = excluded.expires_at`,
  );
}

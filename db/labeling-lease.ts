// Tasks lent to labelers (architecture, rule 6). A labeler's lease is fenced and renewable; a task is lent to as many
// different people as answers are wanted of it, and gold items come at places that nobody can tell beforehand.
import { sql, type SQL } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import { isGoldPlace } from '../domain/label-policy.js';
import type { LeasedTask } from '../domain/label-task.js';
import type { Suggestion } from '../domain/labeling.js';
import { anyOf, atomically, iso, json, limitOf, mustRow, preparedRows, type Tx } from './client.js';
import { holdLabeler } from './labeler.js';
import { hasOpenTasks, type LockedBatch } from './labeling-batch.js';
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
    const { batch, served } = await holdLabeler(inner, request);
    const leased = await renewOwn(inner, request);
    const count = request.count - leased.length;
    if (count > 0) leased.push(...(await lend(inner, { request, batch, served, count })));
    if (leased.length === 0) await requireOpen(inner, request.batch);
    const shown = batch.policy.suggestion !== 'none';
    return leased.map((task) => ({
      ...task,
      expiresAt: iso(task.expiresAt),
      suggestion: shown ? told(task.suggestion, batch) : null,
    }));
  });
}

const told = (suggestion: Suggestion | null, { blind }: LockedBatch): Suggestion | null =>
  suggestion && blind ? { ...suggestion, confidence: null } : suggestion;

/**
 * All is answered, and its row does not say so yet: as long as people share it nobody can write it.
 * @throws Failure `BatchClosed`
 */
async function requireOpen(tx: Tx, batch: string): Promise<void> {
  const { open } = await mustRow<{ open: boolean }>(tx, sql`select ${hasOpenTasks(batch)} as open`);
  if (!open) throw new Failure('BatchClosed', `the batch ${batch} takes no more answers`);
}

const ttl = (request: LeaseRequest) => sql`make_interval(secs => ${(request.ttlMs ?? 600_000) / 1000}::float8)`;

/** What the labeler holds, with a new expiry. */
async function renewOwn(tx: Tx, request: LeaseRequest): Promise<LeasedTask[]> {
  return preparedRows(
    tx,
    sql`with own as (
        select t.id, t.position, t.item, t.suggestion, ${sentBack} as back, l.fence, l.place
        from lease l join label_task t on t.id = l.task
        where l.batch = ${request.batch} and l.labeler = ${request.labeler} and l.expires_at > clock_timestamp()
          and t.status = 'open' and l.fence > t.floor
        order by l.place, t.position ${limitOf(request.count)}
      ), renewed as (
        update lease l set expires_at = clock_timestamp() + ${ttl(request)} from own
        where l.task = own.id and l.labeler = ${request.labeler} returning l.task, l.expires_at
      )
      select o.id as "taskId", o.fence, r.expires_at as "expiresAt", o.item, o.suggestion, o.back as "sentBack"
      from own o join renewed r on r.task = o.id order by o.place, o.position`,
  );
}

/** Looks at most, since a claim may lose all its candidates to leases that were committed while it looked. */
const looks = 20;

interface Lending {
  request: LeaseRequest;
  batch: LockedBatch;
  /** Items that the labeler was given before. */
  served: number;
  count: number;
}

async function lend(tx: Tx, lending: Lending): Promise<LeasedTask[]> {
  const { request, batch, served, count } = lending;
  const places = Array.from({ length: count }, (_, i) => served + i);
  const { share } = batch.policy.gold;
  const goldPlaces = places.filter((place) => isGoldPlace(share, `${batch.salt}${batch.id}/${request.labeler}`, place));
  if (goldPlaces.length > 0) return lendWithGold(tx, lending, { places, goldPlaces });
  const fits = askedItems(request, batch);
  const lent: LeasedTask[] = [];
  for (let look = 0; look < looks && lent.length < count; look += 1) {
    const locked = await lockFree(tx, fits, count - lent.length);
    if (locked.length === 0) break;
    const from = sql`${served + lent.length}::bigint + row_number() over (order by t.position) - 1`;
    const chosen = sql`select t.id, (${from})::int as place from label_task t where t.id = ${anyOf(locked)} and ${fits}`;
    lent.push(...(await writeLeases(tx, request, { chosen, gold: 0, fence: sql`g.fence` })));
  }
  return lent;
}

async function lendWithGold(
  tx: Tx,
  { request, batch, count }: Lending,
  { places, goldPlaces }: Pick<Drawn, 'places' | 'goldPlaces'>,
): Promise<LeasedTask[]> {
  const gold = (await claim(tx, goldItems(request), goldPlaces.length)).free;
  const asked: string[] = [];
  for (let look = 0; look < looks && asked.length + gold.length < count; look += 1) {
    // no lease is written yet, so the next look would find the same ones
    const others = sql`${askedItems(request, batch)} and t.id <> all(${sql.param(asked)}::text[])`;
    const { locked, free } = await claim(tx, others, count - gold.length - asked.length);
    if (locked === 0) break;
    asked.push(...free);
  }
  // a lease of nothing but tests would be known for what it is
  const more = await hasMore(tx, sql`${askedItems(request, batch)} and t.id <> all(${sql.param(asked)}::text[])`);
  const drawn = inOrder({ places, goldPlaces, gold, asked, more });
  if (drawn.length === 0) return [];
  const chosen = sql`select id, place from jsonb_to_recordset(${json(drawn)}) as c (id text, place int)`;
  const tests = drawn.filter(({ id }) => gold.includes(id)).length;
  return writeLeases(tx, request, { chosen, gold: tests, fence: fenceAmong(askedItems(request, batch)) });
}

/**
 * Everybody is lent the same gold items, and a fence that rises with each lease would tell them from the others. A
 * labeler sees one only once, so that any fence will do: the one that an item in its place would have.
 */
function fenceAmong(others: SQL): SQL {
  return sql`case when g.gold is null then g.fence else coalesce(
    (select t.fence + 1 from label_task t where ${others} order by t.position limit 1), g.wanted) end`;
}

async function hasMore(tx: Tx, fits: SQL): Promise<boolean> {
  return (await preparedRows(tx, sql`select 1 from label_task t where ${fits} limit 1`)).length > 0;
}

interface Drawn {
  places: number[];
  goldPlaces: number[];
  gold: string[];
  asked: string[];
  /** Others could be asked after these. */
  more: boolean;
}

/** Tasks at their places: gold ones at theirs, each before another that is to be asked. */
function inOrder({ places, goldPlaces, gold, asked, more }: Drawn): { id: string; place: number }[] {
  const [tests, items] = [[...gold], [...asked]];
  return places.flatMap((place) => {
    const tested = goldPlaces.includes(place) && (more || items.length > 0);
    const id = (tested ? tests.shift() : undefined) ?? items.shift();
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

/**
 * Open ones with a slot left, which this labeler has not answered since they were sent back, if they were. `select exists`
 * is asked task by task: the first in order that fits is near the front, and a join would look at all of them.
 */
function askedItems({ batch, labeler }: LeaseRequest, { policy }: LockedBatch): SQL {
  const mine = sql`select 1 from annotation a where a.task = t.id and a.annotator = ${labeler}`;
  const blocking = policy.skip.to === 'self' ? sql`and a.outcome <> 'skipped'` : sql``;
  return sql`t.batch = ${batch} and t.status = 'open' and t.gold is null and t.answered + ${liveLeases} < t.wanted
    and not (select exists (select 1 from lease l where l.task = t.id and l.labeler = ${labeler}
      and l.fence > t.floor and l.expires_at > clock_timestamp()))
    and not (select exists (${mine} and a.fence > t.floor ${blocking}))
    and (t.again is null or (t.again = 'same') = exists (${mine} and a.outcome <> 'skipped' and a.fence <= t.floor))`;
}

/** Locks tasks that fit, in order, and leaves out those that others hold; whether they still fit is to be seen after it. */
async function lockFree(tx: Tx, fits: SQL, count: number): Promise<string[]> {
  const locked = await preparedRows<{ id: string }>(
    tx,
    sql`select t.id from label_task t where ${fits} order by t.position ${limitOf(count)} for update of t skip locked`,
  );
  return locked.map(({ id }) => id);
}

/**
 * Locks tasks that fit, then looks again with a snapshot taken under those locks: another lease may have been committed
 * between. Answers how many seemed to fit, and which may be lent.
 */
async function claim(tx: Tx, fits: SQL, count: number): Promise<{ locked: number; free: string[] }> {
  const locked = await lockFree(tx, fits, count);
  if (locked.length === 0) return { locked: 0, free: [] };
  const free = await preparedRows<{ id: string }>(
    tx,
    sql`select t.id from label_task t where t.id = ${anyOf(locked)} and ${fits} order by t.position`,
  );
  return { locked: locked.length, free: free.map(({ id }) => id) };
}

/**
 * `chosen`: a query of `id` and `place`, of tasks that this transaction has locked. `gold`: how many of them are gold.
 * `fence`: of the task `g`, as its labeler is told.
 */
async function writeLeases(
  tx: Tx,
  request: LeaseRequest,
  { chosen, gold, fence }: { chosen: SQL; gold: number; fence: SQL },
): Promise<LeasedTask[]> {
  return preparedRows(
    tx,
    sql`with chosen as (${chosen}), taken as (
        update label_task g set fence = g.fence + 1 from chosen c where g.id = c.id
        returning g.id, g.batch, ${fence} as fence, g.floor, g.item, g.suggestion, c.place
      ), lent as (
        insert into lease (task, batch, labeler, fence, place, leased_at, expires_at)
        select id, ${request.batch}, ${request.labeler}, fence, place, clock_timestamp(), clock_timestamp() + ${ttl(request)}
        from taken
        on conflict (task, labeler) do update set fence = excluded.fence, place = excluded.place,
          leased_at = excluded.leased_at, expires_at = excluded.expires_at
        returning task, expires_at
      ), counted as (
        update batch_labeler set served = served + (select count(*) from taken), gold_served = gold_served + ${gold}
        where batch = ${request.batch} and labeler = ${request.labeler} and exists (select from taken)
      )
      select t.id as "taskId", t.fence, l.expires_at as "expiresAt", t.item, t.suggestion, ${sentBack} as "sentBack"
      from taken t join lent l on l.task = t.id order by t.place`,
  );
}

// What happened in a run, numbered under the run's row lock, so that "greater than last" misses nothing.
import { sql } from 'drizzle-orm';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { iso, row, rows, type Tx } from './client.js';

export interface RunEvent {
  number: number;
  type: string;
  data: Json;
  at: string;
}

/** Appends one event; the run's row stays locked until the transaction ends. @throws Failure `NotFound` */
export async function appendEvent(tx: Tx, event: { run: string; type: string; data: Json }): Promise<number> {
  const written = await row<{ number: number }>(
    tx,
    sql`with bumped as (
        update run set last_event = last_event + 1 where id = ${event.run} returning id, last_event
      )
      insert into event (run, number, type, data, at)
      select id, last_event, ${event.type}, ${JSON.stringify(event.data)}::jsonb, clock_timestamp() from bumped
      returning number`,
  );
  if (written === null) throw new Failure('NotFound', `there is no run ${event.run}`);
  return written.number;
}

/** As `appendEvent`, unless the run has the very same event: for what a repeated attempt would say again. */
export async function appendEventOnce(tx: Tx, event: { run: string; type: string; data: Json }): Promise<void> {
  // the run's row first, as appendEvent does: two attempts wait for each other
  await row(tx, sql`select 1 from run where id = ${event.run} for no key update`);
  const said = await row(
    tx,
    sql`select 1 from event where run = ${event.run} and type = ${event.type}
      and data = ${JSON.stringify(event.data)}::jsonb limit 1`,
  );
  if (said === null) await appendEvent(tx, event);
}

/** Events of a run with a greater number than `after`, in order. */
export async function eventsAfter(tx: Tx, run: string, after: number, limit: number): Promise<RunEvent[]> {
  const found = await rows<RunEvent>(
    tx,
    sql`select number, type, data, at from event where run = ${run} and number > ${after} order by number limit ${limit}`,
  );
  return found.map((event) => ({ ...event, at: iso(event.at) }));
}

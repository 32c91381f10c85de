// Numbers of training over its steps, in bulk; the same step again replaces its value.
import { sql } from 'drizzle-orm';
import { json, rows, type Tx } from './client.js';

export interface MetricRow {
  run: string;
  name: string;
  /** Index of the candidate. */
  candidate: number;
  step: number;
  /** Finite, NaN or infinite: a diverged loss is a fact too. */
  value: number;
}

export interface MetricPoint extends Omit<MetricRow, 'run'> {
  at: string;
}

const chunk = 5_000;

/** Writes any number of values. */
export async function logMetrics(tx: Tx, values: MetricRow[]): Promise<void> {
  const latest = new Map(values.map((row) => [`${row.run}/${row.candidate}/${row.step}/${row.name}`, row]));
  const all = [...latest.values()].map((row) => ({ ...row, value: String(row.value) }));
  for (let start = 0; start < all.length; start += chunk) {
    await rows(
      tx,
      sql`insert into metric (run, name, candidate, step, value)
        select run, name, candidate, step, value::float8
        from jsonb_to_recordset(${json(all.slice(start, start + chunk))})
          as m (run text, name text, candidate int, step int, value text)
        on conflict (run, name, candidate, step) do update set value = excluded.value, at = now()`,
    );
  }
}

/** Values of a run, by name, candidate and step; of one name when it is given. */
export async function metricsOf(tx: Tx, run: string, name?: string): Promise<MetricPoint[]> {
  const found = await rows<MetricPoint & { value: number | string }>(
    tx,
    sql`select name, candidate, step, value, at from metric
      where run = ${run} and (${name ?? null}::text is null or name = ${name ?? null})
      order by name, candidate, step`,
  );
  return found.map((point) => ({ ...point, value: Number(point.value), at: new Date(point.at).toISOString() }));
}

/** The values of a candidate of one run as those of another: a training that was taken over has its curve too. */
export async function copyMetrics(
  tx: Tx,
  from: { run: string; candidate: number },
  to: { run: string; candidate: number },
): Promise<void> {
  await rows(
    tx,
    sql`insert into metric (run, name, candidate, step, value)
      select ${to.run}, name, ${to.candidate}::int, step, value from metric
      where run = ${from.run} and candidate = ${from.candidate}
      on conflict (run, name, candidate, step) do nothing`,
  );
}

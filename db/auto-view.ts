// Automatic labels as clients see them: the batches of a campaign with their evidence, what a run saw that was withdrawn.
import { sql } from 'drizzle-orm';
import type { AutoStatus } from '../domain/auto-label.js';
import { iso, rows, type Tx } from './client.js';

export interface AutoBatchView {
  id: string;
  round: number;
  /** The round's batch for people. */
  batch: string;
  status: AutoStatus;
  /** Why so much is labelled, or nothing; of a revoked one, why it was. */
  why: string;
  /** Null: nothing may be labelled. */
  threshold: number | null;
  /** Share of the pool. */
  coverage: number;
  number: number;
  /** Rows without a label, and checked ones, that it was planned from. */
  pool: number;
  sample: number;
  /** Automatic labels, those that people are asked about, those checked so far, the wrong ones. */
  labels: number;
  audit: number;
  audited: number;
  errors: number;
  /** Bounds of the error rate by the audit; null before the first look. */
  lo: number | null;
  hi: number | null;
  createdAt: string;
  decidedAt: string | null;
}

/** In the order of the rounds. */
export async function autoBatches(tx: Tx, campaign: string): Promise<AutoBatchView[]> {
  const found = await rows<AutoBatchView>(
    tx,
    sql`select id, round, batch, status, why, threshold, coverage, number, pool, sample, population as labels, audit,
        audited, errors, lo, hi, created_at as "createdAt", decided_at as "decidedAt"
      from auto_batch where campaign = ${campaign} order by round`,
  );
  return found.map((one) => ({ ...one, createdAt: iso(one.createdAt), decidedAt: iso(one.decidedAt) }));
}

export interface Withdrawn {
  autoBatch: string;
  campaign: string;
  round: number;
  reason: string;
  at: string;
}

/** Labels in the data of a run that were withdrawn since. */
export async function withdrawnFrom(tx: Tx, run: string): Promise<Withdrawn[]> {
  const found = await rows<{ data: Omit<Withdrawn, 'at'>; at: string }>(
    tx,
    sql`select data, at from event where run = ${run} and type = 'labels.revoked' order by number`,
  );
  return found.map(({ data, at }) => ({ ...data, at: iso(at) }));
}

// What a campaign asked of people, and how they did: over the batches of all its rounds.
import { sql } from 'drizzle-orm';
import { batchAgreement, hasClasses, type Agreement } from '../domain/batch-answers.js';
import type { LabelKind } from '../domain/label-kind.js';
import type { AskReason, BatchStatus } from '../domain/labeling.js';
import { rows, type Tx } from './client.js';
import { type BatchLabeler, labelersOf } from './labeler.js';
import { shownReason } from './labeling-batch.js';
import { answersOf } from './labeling-answers.js';

/** The items of one round that were asked for one reason; gold items are left out. */
export interface RoundAsked {
  round: number;
  batch: string;
  status: BatchStatus;
  reason: AskReason;
  tasks: number;
  /** Null where nothing was scored. */
  score: { least: number; largest: number } | null;
  /** With which they were drawn, on average; null where they were chosen. */
  probability: number | null;
}

export interface CampaignPeople {
  asked: RoundAsked[];
  labelers: BatchLabeler[];
  /** Null where no two answered the same item, or answers are no classes. */
  agreement: Agreement | null;
}

export async function campaignPeople(tx: Tx, campaign: string): Promise<CampaignPeople> {
  const asked = await rows<RoundAsked>(
    tx,
    sql`select o.round, b.id as batch, b.status, ${shownReason} as reason, count(*)::int as tasks, avg(t.probability) as probability,
        case when count(t.score) > 0 then jsonb_build_object('least', min(t.score), 'largest', max(t.score)) end as score
      from campaign_round o join label_batch b on b.run = o.run join label_task t on t.batch = b.id
      where o.campaign = ${campaign} and t.gold is null
      group by o.round, b.id, 4 order by o.round, 4`,
  );
  const batches = await rows<{ id: string; kind: LabelKind }>(
    tx,
    sql`select b.id, b.kind from campaign_round o join label_batch b on b.run = o.run where o.campaign = ${campaign}`,
  );
  const withClasses = batches.filter(({ kind }) => hasClasses(kind)).map(({ id }) => id);
  return {
    asked,
    labelers: await labelersOf(
      tx,
      batches.map(({ id }) => id),
    ),
    agreement: batchAgreement(await answersOf(tx, withClasses)),
  };
}

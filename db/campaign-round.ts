// Rounds of a campaign: what Postgres knows of them, and the next step taken in one transaction.
import { sql } from 'drizzle-orm';
import type { Digest } from '../domain/artifact.js';
import {
  type CampaignFacts,
  type CampaignRound,
  type CampaignStatus,
  type CampaignStep,
  type Gain,
  gains,
  nextCampaignStep,
  type RightRows,
} from '../domain/campaign.js';
import type { MeasuredMetric } from '../domain/evaluation.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import type { PipelineDocument } from '../domain/pipeline.js';
import { appendAudit } from './audit.js';
import { campaignRow, type HeldCampaign, roundOverrides } from './campaign.js';
import { json, mustRow, row, rows, type Tx } from './client.js';
import { lockPipeline, openRun, specify } from './run-open.js';

export type StoredRound = Omit<CampaignRound, 'rows'> & {
  evaluation: Digest | null;
  gain: Gain | null;
  batchSize: number;
};

// labels of a batch that was cancelled land nowhere; gold items are no labels
export function storedRounds(tx: Tx, campaign: string): Promise<StoredRound[]> {
  return rows<StoredRound>(
    tx,
    sql`select o.round, o.run, r.number, r.status, o.strategy, o.batch_size as "batchSize", o.accuracy, o.gain,
        r.evaluation, b.id as batch, coalesce(t.tasks, 0)::int as tasks, coalesce(t.labelled, 0)::int as labelled
      from campaign_round o join run r on r.id = o.run left join label_batch b on b.run = o.run
        left join lateral (
          select count(*) as tasks, count(*) filter (where x.status = 'labelled' and b.status <> 'cancelled') as labelled
          from label_task x where x.batch = b.id and x.gold is null) t on true
      where o.campaign = ${campaign} order by o.round`,
  );
}

/** What was measured in a run that ended. */
export interface Measured {
  accuracy: MeasuredMetric | null;
  rows: RightRows | null;
}

async function factsOf(
  tx: Tx,
  campaign: HeldCampaign,
  measured: ReadonlyMap<string, Measured>,
  document: PipelineDocument | null,
): Promise<CampaignFacts | null> {
  const rounds: CampaignRound[] = [];
  for (const { evaluation, batchSize: _, ...round } of await storedRounds(tx, campaign.id)) {
    const over = round.status !== 'running' && round.status !== 'waiting';
    const none = { accuracy: null, rows: null };
    const kept = round.accuracy === null ? undefined : { accuracy: round.accuracy, rows: null };
    const found = over && evaluation !== null ? (measured.get(evaluation) ?? kept) : none;
    if (!found) return null;
    rounds.push({ ...round, ...found });
  }
  const other = await row<{ id: string }>(
    tx,
    sql`select r.id from run r join campaign c on c.pipeline = r.pipeline
      where c.id = ${campaign.id} and r.status in ('running', 'waiting')
        and not exists (select 1 from campaign_round o where o.run = r.id and o.campaign = c.id)`,
  );
  const { status, settings } = campaign;
  return {
    ...{ status, settings, rounds, otherRun: other?.id ?? null },
    batchDeadlineMs: document?.labeling?.deadlineMs ?? 0,
  };
}

/**
 * Does the next thing: opens a round, stops, or notes what is waited for. Again: the same, since a round's run is opened
 * under its own key. `measured`: by evaluation; null where a run ended meanwhile whose evaluation is not among them.
 * @throws Failure `NotFound`
 */
export async function advanceCampaign(
  tx: Tx,
  id: string,
  measured: ReadonlyMap<string, Measured>,
  nowMs: number,
): Promise<{ step: CampaignStep; status: CampaignStatus } | null> {
  const { project, pipeline: name } = await campaignRow(tx, id);
  const pipeline = await lockPipeline(tx, project, name);
  await mustRow(tx, sql`select 1 from campaign where id = ${id} for update`);
  const campaign = await campaignRow(tx, id);
  if (campaign.status === 'stopped') {
    return { step: { kind: 'stop', reason: 'person', why: campaign.why }, status: 'stopped' };
  }
  const document = documentOr(pipeline.source);
  const facts = await factsOf(tx, campaign, measured, 'refused' in document ? null : document);
  if (facts === null) return null;
  await keepMeasured(tx, id, facts);
  let step = nextCampaignStep(facts, nowMs);
  if (step.kind === 'open') {
    step = 'refused' in document ? unfit(step.round, document.refused) : await openRound(tx, campaign, step);
  }
  if (step.kind === 'stop') {
    await end(tx, campaign, step);
    return { step, status: 'stopped' };
  }
  const { why } = step;
  // of a paused one it says who paused it
  if (campaign.status === 'running' && why !== campaign.why)
    await rows(tx, sql`update campaign set why = ${why} where id = ${id}`);
  return { step, status: campaign.status };
}

/** A source that was stored by older software may be refused. */
function documentOr(source: Json): PipelineDocument | { refused: Failure } {
  try {
    return specify(source, {});
  } catch (error) {
    if (!(error instanceof Failure) || error.failure !== 'InvalidRequest') throw error;
    return { refused: error };
  }
}

function unfit(round: number, error: Failure): Extract<CampaignStep, { kind: 'stop' }> {
  return { kind: 'stop', reason: 'failed-runs', why: `round ${round} does not fit the pipeline: ${error.message}` };
}

async function keepMeasured(tx: Tx, id: string, { rounds, settings }: CampaignFacts): Promise<void> {
  const found = gains(rounds, settings.stop.plateau?.margin ?? 0);
  for (const { round, accuracy } of rounds) {
    if (accuracy === null) continue;
    await rows(
      tx,
      sql`update campaign_round set accuracy = ${json(accuracy)}, gain = ${json(found.get(round) ?? null)}
        where campaign = ${id} and round = ${round} and accuracy is null`,
    );
  }
}

type Open = Extract<CampaignStep, { kind: 'open' }>;

async function openRound(tx: Tx, campaign: HeldCampaign, step: Open): Promise<CampaignStep> {
  const { id, project, pipeline } = campaign;
  const { round, strategy, batchSize } = step;
  let run;
  try {
    run = await openRun(tx, {
      ...{ project, pipeline, startKey: `campaign/${id}/${round}`, trigger: 'campaign' },
      ...{ overrides: roundOverrides(step), startedBy: id, verified: true },
    });
  } catch (error) {
    if (!(error instanceof Failure) || error.failure !== 'InvalidRequest') throw error;
    // the pipeline was changed since
    return unfit(round, error);
  }
  await rows(
    tx,
    sql`insert into campaign_round (campaign, round, run, strategy, batch_size)
      values (${id}, ${round}, ${run.id}, ${strategy}, ${batchSize}) on conflict do nothing`,
  );
  return { kind: 'wait', why: `round ${round} goes on: run ${run.number}`, untilMs: null };
}

async function end(
  tx: Tx,
  { id, project }: HeldCampaign,
  step: Extract<CampaignStep, { kind: 'stop' }>,
): Promise<void> {
  const { reason, why } = step;
  await rows(
    tx,
    sql`update campaign set status = 'stopped', stop_reason = ${reason}, why = ${why}, finished_at = clock_timestamp()
      where id = ${id}`,
  );
  const details = { reason, why };
  const actor = { actor: 'perennial', verified: true };
  await appendAudit(tx, { project, ...actor, action: 'campaign.stopped', subject: id, details });
}

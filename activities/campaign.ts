// What a campaign's workflow does outside: looks at its rounds and does the next thing; writes what people decided.
import type { Artifacts } from '../adapters/store/index.js';
import {
  advanceCampaign,
  decideCampaign,
  type CampaignAnswer,
  type Measured,
  type StoredRound,
  storedRounds,
} from '../db/campaign.js';
import { type Db, inTransaction } from '../db/client.js';
import type { Digest } from '../domain/artifact.js';
import { type CampaignDecision, type CampaignStatus, type CampaignStep, isReference } from '../domain/campaign.js';
import type { Evaluation } from '../domain/evaluation.js';

interface CampaignDeps {
  db: Db;
  artifacts: Pick<Artifacts, 'readJson'>;
  kick: () => void;
}

/** Evaluations that are read side by side. */
const atOnce = 8;

function measuredIn({ metrics, rows, n }: Evaluation): Measured {
  return {
    accuracy: metrics['accuracy'] ?? null,
    rows: rows ? { keys: rows.keys, n, right: Buffer.from(rows.right, 'base64') } : null,
  };
}

/** What is not kept yet, and the round that the next is compared with: a campaign may have hundreds of rounds. */
async function measure(
  artifacts: CampaignDeps['artifacts'],
  rounds: readonly StoredRound[],
  measured: Map<string, Measured>,
): Promise<void> {
  const read = async (digest: Digest): Promise<Measured> => {
    const found = measured.get(digest) ?? measuredIn(await artifacts.readJson<Evaluation>(digest));
    measured.set(digest, found);
    return found;
  };
  const fresh = rounds.flatMap(({ evaluation, accuracy }) => (accuracy === null && evaluation ? [evaluation] : []));
  for (let from = 0; from < fresh.length; from += atOnce) await Promise.all(fresh.slice(from, from + atOnce).map(read));
  for (const { evaluation, accuracy, gain } of rounds.toReversed()) {
    if (accuracy === null || evaluation === null || !isReference({ gain })) continue;
    if ((await read(evaluation)).rows !== null) return;
  }
}

export function createCampaignActivities({ db, artifacts, kick }: CampaignDeps) {
  return {
    /** Opens the next round, stops the campaign, or says what is waited for. Safe to repeat. */
    async advanceCampaign(input: { campaign: string }): Promise<{ step: CampaignStep; status: CampaignStatus }> {
      const measured = new Map<string, Measured>();
      for (;;) {
        await measure(artifacts, await storedRounds(db, input.campaign), measured);
        const advanced = await inTransaction(db, (tx) => advanceCampaign(tx, input.campaign, measured, Date.now()));
        // null: a run ended in between
        if (advanced === null) continue;
        kick();
        return advanced;
      }
    },

    /** Status, decision and audit in one transaction. The same decision id gives the first answer. Throws `AlreadyDecided`. */
    async recordCampaignDecision(input: {
      campaign: string;
      decision: CampaignDecision;
      verified: boolean;
    }): Promise<CampaignAnswer> {
      const { campaign, verified } = input;
      const { decisionId = null, decision, by, reason = null } = input.decision;
      return inTransaction(db, (tx) => decideCampaign(tx, { campaign, decisionId, decision, by, verified, reason }));
    },
  };
}

// What a campaign's workflow does outside: looks at its rounds and does the next thing; writes what people decided.
import type { Artifacts } from '../adapters/store/index.js';
import { advanceCampaign, decideCampaign, type CampaignAnswer, type Measured, storedRounds } from '../db/campaign.js';
import { type Db, inTransaction } from '../db/client.js';
import type { CampaignDecision, CampaignStatus, CampaignStep } from '../domain/campaign.js';
import type { Evaluation } from '../domain/evaluation.js';

interface CampaignDeps {
  db: Db;
  artifacts: Pick<Artifacts, 'readJson'>;
  kick: () => void;
}

function measuredIn({ metrics, rows, n }: Evaluation): Measured {
  return {
    accuracy: metrics['accuracy'] ?? null,
    rows: rows ? { keys: rows.keys, n, right: Buffer.from(rows.right, 'base64') } : null,
  };
}

export function createCampaignActivities({ db, artifacts, kick }: CampaignDeps) {
  return {
    /** Opens the next round, stops the campaign, or says what is waited for. Safe to repeat. */
    async advanceCampaign(input: { campaign: string }): Promise<{ step: CampaignStep; status: CampaignStatus }> {
      const measured = new Map<string, Measured>();
      for (;;) {
        for (const { evaluation } of await storedRounds(db, input.campaign)) {
          if (evaluation === null || measured.has(evaluation)) continue;
          measured.set(evaluation, measuredIn(await artifacts.readJson<Evaluation>(evaluation)));
        }
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

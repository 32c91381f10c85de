// What a campaign's round labels without people, and what people are asked to check of that: planned here, written with
// the batch (db/auto.ts), decided about when the batch closes (db/auto-decision.ts).
import { type AutoRound, dropAudits, type DueAudit, dueAudits, openAuto, revokedKeys } from '../../db/auto.js';
import { inTransaction, type Tx } from '../../db/client.js';
import type { NewTask } from '../../db/labeling.js';
import { runSpecification } from '../../db/run.js';
import { auditQuota, type AutoPlan, autoPlanWithout, coveredItems, planAutoLabels } from '../../domain/auto-label.js';
import { type PickPool, poolWithout } from '../../domain/label-pick.js';
import type { StepInput } from '../../domain/run.js';
import { currentStep } from '../step.js';
import { certify, type Certified, type CertifyDeps } from './certify.js';
import { keysInVersion } from './known.js';
import type { PoolAsked, ScoredPool } from './pool.js';

type Audit = Pick<NewTask, 'key' | 'suggestion'> & { key: string; autoBatch: string | null };

export interface RoundPlan {
  /** The pool as the model sees it that people vouch for; null: there is none, others choose what to ask. */
  scored: ScoredPool | null;
  plan: AutoPlan;
  /** What is left to ask people about. */
  left(rows: PickPool): PickPool;
  /** To be mixed into the batch. */
  audits: Audit[];
  /** Part of opening the batch, with those of the audits that it asks. */
  open(tx: Tx, batch: string, asked: readonly Audit[]): Promise<void>;
}

/** @param asked of the batch for people */
export async function planRound(
  deps: CertifyDeps,
  input: StepInput,
  { auto, dataset, asked }: { auto: AutoRound; dataset: string; asked: PoolAsked },
): Promise<RoundPlan> {
  const certified = await certify(deps, input, asked);
  const plan = planOf(auto, certified, { seed: asked.seed, revoked: await revokedKeys(deps.db, auto.campaign) });
  const quota = auditQuota(asked.batchSize);
  const due = await presentAudits(deps, input, auto);
  const earlier = due.slice(0, quota);
  const classes = certified?.classes ?? [];
  const checked = plan.audit.slice(0, quota - earlier.length);
  const wanted = new Set(checked);
  const labels = new Map(plan.labels.flatMap((one) => (wanted.has(one.key) ? [[one.key, one] as const] : [])));
  const own = checked.map((key): Audit => {
    const { label, confidence } = labels.get(key)!;
    return { key, autoBatch: null, suggestion: { label: classes[label] ?? '', confidence } };
  });
  const audits = earlier.map(({ key, autoBatch, ...suggestion }): Audit => ({ key, autoBatch, suggestion }));
  return {
    scored: certified?.scored ?? null,
    plan,
    left: (rows) => poolWithout(rows, new Set([...plan.labels, ...due].map(({ key }) => key))),
    audits: [...audits, ...own],
    open: (tx, batch, taken) =>
      openAuto(tx, {
        ...{ auto, batch, dataset, plan, classes },
        pool: certified?.scored.rows.keys.length ?? 0,
        sample: certified?.sample.length ?? 0,
        covered: coveredItems(certified?.sample ?? [], plan).map(({ key }) => key),
        asked: {
          own: taken.flatMap(({ key, autoBatch }) => (autoBatch === null ? [key] : [])),
          earlier: taken.flatMap(({ key, autoBatch }) => (autoBatch === null ? [] : [{ key, autoBatch }])),
        },
      }),
  };
}

/** Labels that are still to be checked. Rows that a source has dropped cannot be shown: they leave the audit. */
async function presentAudits(deps: CertifyDeps, input: StepInput, { campaign }: AutoRound): Promise<DueAudit[]> {
  const due = await dueAudits(deps.db, campaign);
  if (due.length === 0) return [];
  const { document } = await runSpecification(deps.db, input.context.run);
  const keys = due.map(({ key }) => key);
  const there = await keysInVersion(deps, input, { column: document.dataset.key, keys });
  const gone = due.filter(({ key }) => !there.has(key));
  if (gone.length > 0) {
    await inTransaction(deps.db, async (tx) => {
      await currentStep().guard(tx);
      await dropAudits(tx, gone);
    });
  }
  return due.filter(({ key }) => there.has(key));
}

function planOf(
  { rules, number }: AutoRound,
  certified: Certified | null,
  { seed, revoked }: { seed: number; revoked: ReadonlySet<string> },
): AutoPlan {
  if (!certified) {
    const why = 'there are too few labels beside the checked ones to make a model that these can judge';
    return autoPlanWithout(rules, number, why);
  }
  const pool = poolWithout(certified.scored.rows, revoked);
  return planAutoLabels({ rules, batch: number, pool, sample: certified.sample, seed });
}

// Approvals: one open question per run about one exact digest, answered once (architecture, rule 5).
import { sql, type SQL } from 'drizzle-orm';
import type { ApprovalAnswer, ApprovalDecisionKind, ApprovalKind, ApprovalStatus } from '../domain/approval.js';
import type { Digest } from '../domain/artifact.js';
import { Failure } from '../domain/failures.js';
import type { Json } from '../domain/json.js';
import { appendAudit } from './audit.js';
import { atomically, iso, mustRow, row, rows, type Tx } from './client.js';
import { appendEvent } from './event.js';
import { newId } from './id.js';
import { readCursor, toPage, type Page, type PageRequest } from './page.js';

export interface OpenApproval {
  run: string;
  node: string;
  kind: ApprovalKind;
  /** 1, and one more each time that the run asks again. */
  round: number;
  digest: Digest;
  deadline: Date;
  /** What the person should see. */
  evidence: Json;
}

/**
 * Asks; the same (run, kind, round) again gives the same approval. What the run asked before becomes `void`.
 * @throws Failure `NotFound`, `RunEnded`
 */
export async function openApproval(
  tx: Tx,
  ask: OpenApproval,
): Promise<{ id: string; since: string; deadline: string }> {
  const { run, kind, round } = ask;
  return atomically(tx, async (inner) => {
    const held = await row<{ project: string; ended: boolean }>(
      inner,
      sql`select project, finished_at is not null as ended from run where id = ${run} for no key update`,
    );
    if (held === null) throw new Failure('NotFound', `there is no run ${run}`);
    const same = sql`select id, since, deadline from approval
      where run = ${run} and kind = ${kind} and round = ${round}`;
    const before = await row<{ id: string; since: string; deadline: string }>(inner, same);
    if (before !== null) return times(before);
    if (held.ended) throw new Failure('RunEnded', `the run ${run} has ended`);
    await rows(inner, sql`update approval set status = 'void' where run = ${run} and status = 'open'`);
    const id = newId('apr');
    await rows(
      inner,
      sql`insert into approval (id, project, run, node, kind, round, digest, deadline, evidence)
        values (${id}, ${held.project}, ${run}, ${ask.node}, ${kind}, ${round}, ${ask.digest},
          ${ask.deadline.toISOString()}, ${JSON.stringify(ask.evidence)}::jsonb)`,
    );
    await appendEvent(inner, { run, type: 'approval.opened', data: { approval: id, kind, digest: ask.digest } });
    return times(await mustRow<{ id: string; since: string; deadline: string }>(inner, same));
  });
}

export interface DecideApproval {
  approval: string;
  decisionId: string;
  /** `expire`: the deadline passed, `outcome` is the default. */
  decision: ApprovalDecisionKind | 'expire';
  outcome: 'approved' | 'rejected' | 'expired';
  by: string;
  verified: boolean;
  reason: string | null;
  digest: Digest;
}

/**
 * Writes the answer; the same decision id gets the first one.
 * @throws Failure `NotFound`, `AlreadyDecided`, `StaleCandidate`
 */
export async function decideApproval(tx: Tx, decision: DecideApproval): Promise<ApprovalAnswer> {
  return atomically(tx, (inner) => decideOnce(inner, decision));
}

async function decideOnce(tx: Tx, decision: DecideApproval): Promise<ApprovalAnswer> {
  const { approval: id, decisionId, outcome, by, verified, reason, digest } = decision;
  const of = await row<{ run: string }>(tx, sql`select run from approval where id = ${id}`);
  if (of === null) throw new Failure('NotFound', `there is no approval ${id}`);
  await mustRow(tx, sql`select 1 from run where id = ${of.run} for no key update`);
  const held = await mustRow<StoredApproval>(tx, sql`${stored} where a.id = ${id} for update of a`);
  if (held.decisionId === decisionId) return answerOf(held);
  if (held.status !== 'open') {
    throw new Failure('AlreadyDecided', `the approval ${id} is ${held.status}`, { members: { status: held.status } });
  }
  if (held.digest !== digest) {
    throw new Failure('StaleCandidate', `the approval ${id} is about ${held.digest}`, {
      members: { digest: held.digest },
    });
  }
  await rows(
    tx,
    sql`update approval set status = ${outcome}, decision_id = ${decisionId}, decision = ${decision.decision},
        decided_by = ${by}, verified = ${verified}, reason = ${reason}, decided_at = clock_timestamp()
      where id = ${id}`,
  );
  const details = { decision: decision.decision, outcome, decisionId, digest, reason };
  await appendEvent(tx, { run: held.run, type: 'approval.decided', data: { approval: id, by, ...details } });
  const action = 'approval.decided';
  await appendAudit(tx, { project: held.project, actor: by, verified, action, subject: id, details });
  return answerOf({ ...held, status: outcome, decision: decision.decision, by, decisionId });
}

export interface ApprovalView {
  id: string;
  run: string;
  pipeline: string;
  node: string;
  kind: ApprovalKind;
  round: number;
  digest: Digest;
  evidence: Json;
  status: ApprovalStatus;
  since: string;
  deadline: string;
  decision: ApprovalDecisionKind | 'expire' | null;
  by: string | null;
  reason: string | null;
  decidedAt: string | null;
}

interface StoredApproval extends ApprovalView {
  project: string;
  decisionId: string | null;
}

const stored = sql`select a.id, a.project, a.run, p.name as pipeline, a.node, a.kind, a.round, a.digest, a.evidence,
    a.status, a.since, a.deadline, a.decision_id as "decisionId", a.decision, a.decided_by as by, a.reason,
    a.decided_at as "decidedAt"
  from approval a join run r on r.id = a.run join pipeline p on p.id = r.pipeline`;

/** One approval. @throws Failure `NotFound` */
export async function approvalView(tx: Tx, project: string, id: string): Promise<ApprovalView> {
  const found = await row<StoredApproval>(tx, sql`${stored} where a.project = ${project} and a.id = ${id}`);
  if (found === null) throw new Failure('NotFound', `there is no approval ${id}`);
  return toView(found);
}

/** Approvals, the latest first. @throws Failure `InvalidRequest` for a foreign cursor */
export async function listApprovals(
  tx: Tx,
  request: { project: string; status?: ApprovalStatus; page: PageRequest },
): Promise<Page<ApprovalView>> {
  const after = readCursor(request.page, ['moment', 'text']);
  const where: SQL[] = [sql`a.project = ${request.project}`];
  if (request.status !== undefined) where.push(sql`a.status = ${request.status}`);
  if (after !== null) where.push(sql`(a.since, a.id) < (${after[0]}::timestamptz, ${after[1]})`);
  const found = await rows<StoredApproval>(
    tx,
    sql`${stored} where ${sql.join(where, sql` and `)} order by a.since desc, a.id desc limit ${request.page.limit + 1}`,
  );
  return toPage(found, request.page, (approval) => [approval.since, approval.id], toView);
}

function toView({ project: _project, decisionId: _decisionId, ...found }: StoredApproval): ApprovalView {
  return { ...times(found), decidedAt: iso(found.decidedAt) };
}

function times<T extends { since: string; deadline: string }>(found: T): T {
  return { ...found, since: iso(found.since), deadline: iso(found.deadline) };
}

// a deadline that passed answers in the words of a decision: what its default came to
function answerOf(held: StoredApproval): ApprovalAnswer {
  const { id: approval, status, decisionId, by, decision } = held;
  const expired = status === 'approved' ? 'approve' : 'reject';
  return {
    approval,
    status,
    decision: decision === 'expire' || decision === null ? expired : decision,
    by: by ?? '',
    decisionId: decisionId ?? '',
  };
}

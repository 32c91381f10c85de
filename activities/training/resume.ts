// Where a training goes on: the newest checkpoint that earlier attempts, or earlier runs with the same inputs, have stored.
import { inTransaction } from '../../db/client.js';
import { keptCheckpoint } from '../../db/result.js';
import { runSpecification } from '../../db/run.js';
import { stepCheckpoint } from '../../db/step.js';
import { type Digest, isDigest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { ReuseDeps } from '../reuse.js';
import { currentStep, type Step } from '../step.js';

export interface Checkpoint {
  digest: Digest;
  step: number;
}

export interface Found extends Checkpoint {
  path: string;
}

type Differs = (path: string) => Promise<string | null>;

/** For a summary: why a training did not go on from a checkpoint; '' where there was none. */
export const fromZero = (why: string | null): string => (why === null ? '' : ` (from zero: ${why})`);

/**
 * The newest checkpoint of an earlier attempt, or of an earlier run with the same inputs, that is one of this very
 * training. One made of other inputs, on another device or by another version of the trainer is passed over, which `zero`
 * tells: `differs` says in words how the training of a file is another one, null where it is this.
 */
export async function resumePoint(
  deps: ReuseDeps,
  differs: Differs,
): Promise<{ from: Found | null; zero: string | null }> {
  const step = currentStep();
  const stored = await stepCheckpoint(deps.db, step.key);
  const beaten = step.previous as { checkpoint?: Checkpoint } | undefined;
  const newest = [stored, beaten?.checkpoint, await checkpointOfOthers(deps, step)].filter(
    (point): point is Checkpoint => isDigest(point?.digest),
  );
  newest.sort((a, b) => b.step - a.step);
  let passedOver: string | null = null;
  for (const { digest, step: at } of newest) {
    if (!(await deps.artifacts.store.has(digest))) continue;
    const found = await look(deps, digest, differs);
    if ('path' in found) return { from: { digest, step: at, path: found.path }, zero: null };
    passedOver ??= found.why;
  }
  if (passedOver === null) return { from: null, zero: null };
  deps.log.warn({ run: step.run, why: passedOver }, 'train.checkpoint-passed-over');
  return { from: null, zero: `the stored checkpoint cannot be used: ${passedOver}` };
}

/** What a run that was cancelled or failed had reached, unless this one takes nothing over. */
async function checkpointOfOthers(deps: ReuseDeps, step: Step): Promise<Checkpoint | null> {
  const { context, fresh } = await runSpecification(deps.db, step.run);
  if (fresh) return null;
  return inTransaction(deps.db, async (tx) => {
    await step.guard(tx);
    return keptCheckpoint(tx, { project: context.project, step: step.key });
  });
}

async function look(deps: ReuseDeps, digest: Digest, differs: Differs): Promise<{ path: string } | { why: string }> {
  try {
    const path = await deps.artifacts.localPath(digest);
    const why = await differs(path);
    return why === null ? { path } : { why };
  } catch (error) {
    if (error instanceof Failure && error.failure === 'ArtifactCorrupt') return { why: 'its bytes are damaged' };
    throw error;
  }
}

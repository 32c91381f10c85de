// Where a training goes on: the newest checkpoint that earlier attempts, or earlier runs with the same inputs, have stored.
import { inTransaction } from '../../db/client.js';
import { keptCheckpoint } from '../../db/result.js';
import { runSpecification } from '../../db/run.js';
import { stepCheckpoint } from '../../db/step.js';
import { type Digest, isDigest } from '../../domain/artifact.js';
import { Failure } from '../../domain/failures.js';
import type { TrainSpec } from '../../domain/model.js';
import { mismatch, readCheckpointHeader } from '../../ml/trainers/checkpoint.js';
import type { ReuseDeps } from '../reuse.js';
import type { Step } from '../step.js';

export interface Checkpoint {
  digest: Digest;
  step: number;
}

export interface Found extends Checkpoint {
  path: string;
}

/**
 * The newest checkpoint of an earlier attempt, or of an earlier run with the same inputs, that is one of this very training. One made of other inputs, on another
 * device or by another version of the trainer is passed over; what a file is of stands in its header.
 */
export async function resumePoint(
  deps: ReuseDeps,
  step: Step,
  spec: TrainSpec,
): Promise<{ from: Found | null; passedOver: string | null }> {
  const stored = await stepCheckpoint(deps.db, step.key);
  const beaten = step.previous as { checkpoint?: Checkpoint } | undefined;
  const newest = [stored, beaten?.checkpoint, await checkpointOfOthers(deps, step)].filter(
    (point): point is Checkpoint => isDigest(point?.digest),
  );
  newest.sort((a, b) => b.step - a.step);
  let passedOver: string | null = null;
  for (const { digest, step: at } of newest) {
    if (!(await deps.artifacts.store.has(digest))) continue;
    const found = await look(deps, digest, spec);
    if ('path' in found) return { from: { digest, step: at, path: found.path }, passedOver: null };
    passedOver ??= found.why;
  }
  if (passedOver !== null) deps.log.warn({ run: step.run, why: passedOver }, 'train.checkpoint-passed-over');
  return { from: null, passedOver };
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

async function look(deps: ReuseDeps, digest: Digest, spec: TrainSpec): Promise<{ path: string } | { why: string }> {
  try {
    const path = await deps.artifacts.localPath(digest);
    const why = mismatch(spec, await readCheckpointHeader(path));
    return why === null ? { path } : { why };
  } catch (error) {
    if (error instanceof Failure && error.failure === 'ArtifactCorrupt') return { why: 'its bytes are damaged' };
    throw error;
  }
}

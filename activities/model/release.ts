// release (`direct`): the alias moves by compare-and-set, once per run; where the champion moved meanwhile the run
// evaluates against the new one and asks again.
import { type Db, inTransaction } from '../../db/client.js';
import { moveAlias } from '../../db/model.js';
import { runSpecification } from '../../db/run.js';
import { Failure } from '../../domain/failures.js';
import type { StepInput } from '../../domain/run.js';
import type { EvaluateResult, RegisterResult, ReleaseResult } from '../../domain/steps.js';
import { currentStep } from '../step.js';

export function createReleaseActivities({ db, kick }: { db: Db; kick: () => void }) {
  return {
    async release(input: StepInput): Promise<ReleaseResult> {
      const step = currentStep();
      const evaluated = input.inputs['evaluate'] as unknown as EvaluateResult;
      const { version } = input.inputs['register'] as unknown as RegisterResult;
      const { model } = await runSpecification(db, input.context.run);
      try {
        const moved = await inTransaction(db, async (tx) => {
          await step.guard(tx);
          return moveAlias(tx, {
            model,
            alias: 'champion',
            to: version,
            expectedFrom: evaluated.champion,
            decisionId: `${input.context.run}/release/${evaluated.champion ?? 0}`,
            kind: 'promotion',
            by: 'perennial',
            reason: `run ${input.context.number} of ${input.context.pipeline}`,
          });
        });
        kick();
        return { summary: `version ${moved.version} is champion`, champion: moved.version, moved: true };
      } catch (error) {
        if (!(error instanceof Failure) || error.failure !== 'ChampionMoved') throw error;
        return {
          summary: `${error.message}: evaluated again`,
          champion: evaluated.champion ?? 0,
          moved: false,
          again: 'evaluate',
        };
      }
    },
  };
}

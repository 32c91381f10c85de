// How a campaign stands: why it goes on or stopped, and how far each of its stop rules is.
import type { CampaignView } from '../../db/campaign-view.js';
import type { StopReason } from '../../domain/campaign.js';
import { type RuleProgress, rulesProgress } from '../../domain/campaign-progress.js';
import { formatDuration } from '../../domain/duration.js';
import { Heads, Moment, Wide } from '../words.js';

/** How each reason to stop reads. */
const stopped: Record<StopReason, string> = {
  target: 'the accuracy that was wanted is reached',
  labels: 'its labels are spent',
  plateau: 'more labels make it no better',
  deadline: 'its time is over',
  'nothing-left': 'nothing is left to ask',
  'no-answers': 'nobody answers',
  'failed-runs': 'its runs fail',
  'run-cancelled': 'somebody cancelled its run',
  person: 'somebody stopped it',
};

/** The status in one line; what `why` holds may be somebody's words. */
export function Standing({ campaign }: { campaign: CampaignView }) {
  const { status, stopReason, why, finishedAt } = campaign;
  return (
    <p class="why" role="status">
      <b>{status}</b>
      {stopReason !== null && `, because ${stopped[stopReason]}`}
      {why !== '' && `: ${why}`}
      {finishedAt !== null && (
        <>
          {' '}
          (<Moment at={finishedAt} />)
        </>
      )}
    </p>
  );
}

interface RuleWords {
  name: string;
  has: string;
  needs: string;
}

function wordsOf({ rule, has, needs }: RuleProgress, { settings }: CampaignView): RuleWords {
  const nothing = 'nothing measured yet';
  switch (rule) {
    case 'labels':
      return { name: 'Labels by people', has: String(has), needs: String(needs) };
    case 'target':
      return {
        name: 'Accuracy: the lower end of its interval',
        has: has === null ? nothing : has.toFixed(4),
        needs: `at least ${needs}`,
      };
    case 'plateau': {
      const margin = settings.stop.plateau?.margin ?? 0;
      const by = margin === 0 ? '' : ` by more than ${margin}`;
      return {
        name: `Rounds in a row not better${by}`,
        has: has === null ? nothing : String(has),
        needs: String(needs),
      };
    }
    case 'deadline':
      return {
        name: 'Time',
        has: formatDuration(has ?? 0),
        needs: formatDuration(Math.round(needs / 60_000) * 60_000),
      };
  }
}

/** Each rule with what there is and what it needs. */
export function StopRules({ campaign, nowMs }: { campaign: CampaignView; nowMs: number }) {
  const { deadline } = campaign.settings.stop;
  return (
    <>
      <Wide name="Stop rules">
        <table class="facts">
          <caption>The campaign stops by the first of these</caption>
          <Heads columns={['Rule', 'Now', 'Stops at', 'How far']} />
          <tbody>
            {rulesProgress(campaign, nowMs).map((one) => {
              const { name, has, needs } = wordsOf(one, campaign);
              return (
                <tr>
                  <th scope="row">{name}</th>
                  <td>{has}</td>
                  <td>{needs}</td>
                  <td>
                    <progress aria-label={name} max={one.needs} value={Math.min(one.has ?? 0, one.needs)}></progress>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Wide>
      {deadline !== null && (
        <p>
          Ends at <Moment at={deadline} /> at the latest.
        </p>
      )}
    </>
  );
}

// What a campaign asked people and why, and how they did, over all its batches.
import type { CampaignPeople, RoundAsked } from '../../db/campaign-asked.js';
import { Agreement, Labelers } from '../progress.js';
import { askWords, decimal, Heads, numbers, Wide } from '../words.js';

function scoreWords({ score }: RoundAsked): string {
  if (score === null) return '–';
  return score.least === score.largest ? decimal(score.least) : `${decimal(score.least)} to ${decimal(score.largest)}`;
}

function Asked({ asked }: { asked: RoundAsked[] }) {
  if (asked.length === 0) return <p>Nothing was asked yet.</p>;
  return (
    <Wide name="What was asked, and why">
      <table>
        <Heads columns={['Round', 'Why', ...numbers('Items', 'Score', 'Drawn with probability'), 'Batch']} />
        <tbody>
          {asked.map((one) => (
            <tr>
              <th scope="row">{one.round}</th>
              <td>{askWords[one.reason]}</td>
              <td class="number">{one.tasks}</td>
              <td class="number">{scoreWords(one)}</td>
              <td class="number">{decimal(one.probability)}</td>
              <td>
                <a href={`/label/${one.batch}/progress`}>items of round {one.round}</a>, {one.status}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

/** For reviewers: reasons, agreement, and how each person does. */
export function People({ people }: { people: CampaignPeople }) {
  return (
    <>
      <h2>What was asked, and why</h2>
      <Asked asked={people.asked} />
      <h2>Agreement</h2>
      <Agreement agreement={people.agreement} />
      <h2>People</h2>
      <Labelers labelers={people.labelers} />
    </>
  );
}

// Labels that a campaign's rounds gave without people: with which promise, how many, and what the audit has found so far.
import type { AutoBatchView } from '../../db/auto.js';
import type { AutoRules, AutoStatus } from '../../domain/auto-label.js';
import { decimal, Heads, numbers, percent, Wide } from '../words.js';

const statuses: Record<AutoStatus, string> = {
  none: 'nothing labelled',
  landing: 'waits for its round',
  standing: 'stands',
  revoked: 'revoked',
  void: 'void: its batch was cancelled',
};

const percentWords = (share: number) => `${Number((100 * share).toFixed(3))} %`;

const boundsWords = ({ lo, hi }: AutoBatchView) =>
  lo === null || hi === null ? '–' : `${(100 * lo).toFixed(1)} to ${(100 * hi).toFixed(1)} %`;

/** For each round: how sure the model must be, the share that got a label, and the checked ones. */
export function AutoBatches({ auto, rules }: { auto: AutoBatchView[]; rules: AutoRules | null }) {
  if (auto.length === 0) return null;
  return (
    <>
      <h2>Labels without people</h2>
      {rules && (
        <p class="soft">
          At most {percentWords(rules.maxError)} of them may be wrong. Where the lower bound of what the checks find is
          above that, a round’s labels are revoked.
        </p>
      )}
      <Wide name="Labels without people">
        <table>
          <Heads
            columns={[
              'Round',
              'State',
              ...numbers('Threshold', 'Share of the pool', 'Labels', 'Checked', 'Wrong', 'Error rate, bounds'),
              'Why',
            ]}
          />
          <tbody>
            {auto.map((one) => (
              <tr>
                <th scope="row">{one.round}</th>
                <td class={one.status === 'revoked' ? 'problem' : undefined}>{statuses[one.status]}</td>
                <td class="number">{decimal(one.threshold)}</td>
                <td class="number">{percent(one.coverage)}</td>
                <td class="number">{one.labels}</td>
                <td class="number">
                  {one.audited} of {one.audit}
                </td>
                <td class="number">{one.errors}</td>
                <td class="number">{boundsWords(one)}</td>
                <td>{one.why}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </>
  );
}

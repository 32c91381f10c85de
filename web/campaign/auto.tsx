// Labels that a campaign's rounds gave without people: with which promise, how many, and what the audit has found so far.
import type { AutoBatchView } from '../../db/auto.js';
import type { AutoStatus } from '../../domain/auto-label.js';
import { decimal, Heads, numbers, percent, Wide } from '../words.js';

const statuses: Record<AutoStatus, string> = {
  none: 'nothing labelled',
  landing: 'waits for its round',
  standing: 'stands',
  revoked: 'revoked',
  void: 'void: its batch was cancelled',
};

const boundsWords = ({ lo, hi }: AutoBatchView) =>
  lo === null || hi === null ? '–' : `${(100 * lo).toFixed(1)} to ${(100 * hi).toFixed(1)} %`;

/** For each round: how sure the model must be, the share that got a label, and the checked ones. */
export function AutoBatches({ auto }: { auto: AutoBatchView[] }) {
  if (auto.length === 0) return null;
  return (
    <>
      <h2>Labels without people</h2>
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
                <td>{statuses[one.status]}</td>
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

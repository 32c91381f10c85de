// The rounds of a campaign: the learning curve, the same as a table, and the labels by where they came from.
import type { CampaignView, RoundView } from '../../db/campaign-view.js';
import type { MeasuredMetric } from '../../domain/evaluation.js';
import { BarChart } from '../chart.js';
import { Curve, type Point } from '../curve.js';
import { Heads, numbers, Wide } from '../words.js';

const four = (value: number | null) => (value === null ? '–' : value.toFixed(4));

function accuracyWords(measured: MeasuredMetric | null): string {
  if (measured === null) return '–';
  const { value, lo, hi, n } = measured;
  return `${four(value)} (${four(lo)} to ${four(hi)}, n ${n})`;
}

/** `+0.0120 over round 1, p 0.04, better`. */
function gainWords({ gain }: RoundView): string {
  if (gain === null) return '–';
  const value = `${gain.value < 0 ? '−' : '+'}${Math.abs(gain.value).toFixed(4)}`;
  return `${value} over round ${gain.over}, p ${gain.p.toPrecision(2)}${gain.better ? ', better' : ''}`;
}

function pointsOf(rounds: readonly RoundView[]): Point[] {
  return rounds.flatMap(({ round, labelsSoFar, accuracy }) =>
    accuracy?.value == null
      ? []
      : [{ x: labelsSoFar, y: accuracy.value, lo: accuracy.lo, hi: accuracy.hi, label: String(round) }],
  );
}

/** Labels against accuracy; rounds are the numbers above the points. */
export function LearningCurve({ rounds, settings }: CampaignView) {
  const points = pointsOf(rounds);
  if (points.length === 0) return <p>No round was measured yet. The curve begins with the first run that ends.</p>;
  const { target } = settings.stop;
  return (
    <>
      <p class="soft">
        Accuracy on the holdout with its 95 % interval, over the labels so far. Numbers are rounds; the table says the
        same.
      </p>
      <Curve
        title={`Learning curve of ${points.length} rounds: accuracy over labels so far. The table of rounds says the same.`}
        xUnit="labels so far"
        yUnit="accuracy"
        points={points}
        target={target === null ? null : { value: target, label: `wanted: ${target}` }}
      />
    </>
  );
}

function Round({ one }: { one: RoundView }) {
  return (
    <tr>
      <th scope="row">{one.round}</th>
      <td>
        <a href={`/api/v1/runs/${one.run}`}>run {one.number}</a> {one.status}
      </td>
      <td>{one.strategy}</td>
      <td>{one.batch === null ? 'none' : <a href={`/label/${one.batch}/progress`}>batch of round {one.round}</a>}</td>
      <td class="number">{one.tasks}</td>
      <td class="number">{one.labels}</td>
      <td class="number">{one.labelsSoFar}</td>
      <td>{accuracyWords(one.accuracy)}</td>
      <td>{gainWords(one)}</td>
    </tr>
  );
}

/** All rounds, the figures of the curve among them. */
export function Rounds({ rounds }: CampaignView) {
  if (rounds.length === 0) return null;
  return (
    <Wide name="Rounds">
      <table>
        <Heads
          columns={[
            ...['Round', 'Run', 'Strategy', 'Asked'],
            ...numbers('Items', 'Labels', 'So far'),
            ...['Accuracy, 95 % interval', 'Gain'],
          ]}
        />
        <tbody>
          {rounds.map((one) => (
            <Round one={one} />
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

/** Labels of the campaign's rounds by where they came from. */
export function LabelSources({ labels }: CampaignView) {
  const bars = [
    { label: 'by people', value: labels.human },
    { label: 'by the model alone', value: labels.auto },
  ];
  return <BarChart title="Labels by source" unit="labels" bars={bars} />;
}

// The progress of one batch: counts, how far people agree, how each of them does, what was asked and why.
import {
  batchAnswers,
  batchAsked,
  batchLabelers,
  batchView,
  type BatchAsked,
  type BatchLabeler,
  type BatchView,
} from '../db/labeling.js';
import type { Db } from '../db/client.js';
import { batchAgreement, hasClasses, type Agreement as Agreed } from '../domain/batch-answers.js';
import { BarChart } from './chart.js';
import { layout } from './layout.js';
import type { Reader } from './reader.js';
import { SignIn } from './sign-in.js';
import { askWords, decimal, Heads, Moment, numbers, percent, Wide } from './words.js';

function Counts({ batch }: { batch: BatchView }) {
  const { tasks, labelled, skipped, auto } = batch.counts;
  const bars = [
    { label: 'labelled', value: labelled },
    { label: 'skipped', value: skipped },
    // labels without people are a campaign's, and shown there
    ...(auto > 0 ? [{ label: 'labelled by the model', value: auto }] : []),
    { label: 'open', value: tasks - labelled - skipped - auto },
  ];
  return (
    <>
      <p>
        {batch.status}, until <Moment at={batch.deadline} />. Kind of label: {batch.kind}.
      </p>
      <BarChart title="Items" unit="items" bars={bars} />
    </>
  );
}

/** How far people agree. */
export function Agreement({ agreement }: { agreement: Agreed | null }) {
  if (agreement === null) return <p>No two people answered the same item yet, or answers are no classes.</p>;
  return (
    <dl>
      <dt>Pairs of answers that agree</dt>
      <dd>{percent(agreement.pairs)}</dd>
      <dt>Krippendorff’s alpha</dt>
      <dd>{decimal(agreement.alpha)}</dd>
      <dt>Gwet’s AC1</dt>
      <dd>{decimal(agreement.ac1)}</dd>
      <dt>Items with two answers or more</dt>
      <dd>{agreement.items}</dd>
    </dl>
  );
}

/** How each person does. */
export function Labelers({ labelers }: { labelers: BatchLabeler[] }) {
  if (labelers.length === 0) return <p>Nobody was given anything yet.</p>;
  const figures = numbers('Given', 'Answered', 'Skipped', 'Right on test items', 'Became the label', 'Median time');
  return (
    <Wide name="People">
      <table>
        <Heads columns={['Who', ...figures]} />
        <tbody>
          {labelers.map((one) => (
            <tr>
              <th scope="row">
                {one.labeler}
                {one.pausedAt !== null && ' (paused)'}
              </th>
              <td class="number">{one.served}</td>
              <td class="number">{one.answered}</td>
              <td class="number">{one.skipped}</td>
              <td class="number">{one.gold.answered === 0 ? '–' : `${one.gold.right} of ${one.gold.answered}`}</td>
              <td class="number">{percent(one.agreement)}</td>
              <td class="number">{one.seconds === null ? '–' : `${one.seconds.toFixed(1)} s`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Asked({ asked }: { asked: BatchAsked }) {
  const why = asked.reasons.map(({ reason, tasks, probability }) => ({
    label: askWords[reason],
    value: tasks,
    ...(probability === null ? {} : { note: `drawn with probability ${decimal(probability)}` }),
  }));
  const scores = asked.scores.map(({ from, to, tasks }) => ({
    label: `${decimal(from)} to ${decimal(to)}`,
    value: tasks,
  }));
  return (
    <>
      <BarChart title="Why items are asked" unit="items" bars={why} />
      {scores.length > 0 && <BarChart title="The strategy’s score" unit="items" bars={scores} />}
      <h3>The first items</h3>
      <Wide name="The first items">
        <table>
          <Heads columns={['Row', 'Why', ...numbers('Score', 'Probability'), 'State', 'Label']} />
          <tbody>
            {asked.first.map(({ key, reason, score, probability, status, label }) => (
              <tr>
                <th scope="row">{key}</th>
                <td>{askWords[reason]}</td>
                <td class="number">{decimal(score)}</td>
                <td class="number">{decimal(probability)}</td>
                <td>{status}</td>
                <td>{label}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </>
  );
}

/** `reader` null: somebody without a token yet. @throws Failure `NotFound` */
export async function progressPage(db: Db, id: string, reader: Reader | null) {
  const frame = { title: 'Progress · perennial', script: 'page', needsToken: reader === null, refreshSeconds: 5 };
  if (reader === null) return layout(frame, <SignIn />);
  const batch = await batchView(db, reader.project, id);
  const people = reader.reviewer ? await peopleOf(db, batch) : null;
  return layout(
    frame,
    <>
      <h1>Progress</h1>
      <p>
        {id} · <a href={`/label/${id}`}>Label</a> · <a href={`/label/${id}/review`}>Review</a>
      </p>
      <Counts batch={batch} />
      {people === null ? <p class="soft">How people do is for reviewers.</p> : people}
    </>,
  );
}

async function peopleOf(db: Db, batch: BatchView) {
  const [labelers, asked] = await Promise.all([batchLabelers(db, batch.id), batchAsked(db, batch.id)]);
  const agreement = hasClasses(batch.kind) ? batchAgreement(await batchAnswers(db, batch.id)) : null;
  const labels = asked.labels.map(({ label, tasks }) => ({ label, value: tasks }));
  return (
    <>
      {labels.length > 0 && <BarChart title="Labels so far" unit="items" bars={labels} />}
      <h2>Agreement</h2>
      <Agreement agreement={agreement} />
      <h2>People</h2>
      <Labelers labelers={labelers} />
      <h2>What was asked, and why</h2>
      <Asked asked={asked} />
    </>
  );
}

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
import { batchAgreement, hasClasses } from '../domain/batch-answers.js';
import type { AskReason } from '../domain/labeling.js';
import { BarChart } from './chart.js';
import { layout } from './layout.js';
import { SignIn } from './sign-in.js';

const percent = (share: number | null) => (share === null ? '–' : `${(100 * share).toFixed(0)} %`);
const decimal = (value: number | null) => (value === null ? '–' : value.toPrecision(3));

/** How each reason reads. */
const reasons: Record<AskReason, string> = {
  strategy: 'chosen by the strategy',
  explore: 'drawn by chance, to explore',
  named: 'named by whoever opened the batch',
};

function Counts({ batch }: { batch: BatchView }) {
  const { tasks, labelled, skipped, auto } = batch.counts;
  const bars = [
    { label: 'labelled', value: labelled },
    { label: 'skipped', value: skipped },
    { label: 'labelled by the model', value: auto },
    { label: 'open', value: tasks - labelled - skipped - auto },
  ];
  return (
    <>
      <p>
        {batch.status}, until <time datetime={batch.deadline}>{batch.deadline.replace('T', ' ').slice(0, 16)} UTC</time>
        . Kind of label: {batch.kind}.
      </p>
      <BarChart title="Items" unit="items" bars={bars} />
    </>
  );
}

function Agreement({ agreement }: { agreement: ReturnType<typeof batchAgreement> }) {
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

function Labelers({ labelers }: { labelers: BatchLabeler[] }) {
  if (labelers.length === 0) return <p>Nobody was given anything yet.</p>;
  return (
    <div class="wide" tabindex={0} role="region" aria-label="People">
      <table>
        <thead>
          <tr>
            <th scope="col">Who</th>
            {['Given', 'Answered', 'Skipped', 'Right on test items', 'Became the label', 'Median time'].map((name) => (
              <th scope="col" class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
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
    </div>
  );
}

function Asked({ asked }: { asked: BatchAsked }) {
  const why = asked.reasons.map(({ reason, tasks, probability }) => ({
    label: reasons[reason],
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
      <div class="wide" tabindex={0} role="region" aria-label="The first items">
        <table>
          <thead>
            <tr>
              {['Row', 'Why', 'Score', 'Probability', 'State', 'Label'].map((name) => (
                <th scope="col">{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {asked.first.map(({ key, reason, score, probability, status, label }) => (
              <tr>
                <th scope="row">{key}</th>
                <td>{reasons[reason]}</td>
                <td>{decimal(score)}</td>
                <td>{decimal(probability)}</td>
                <td>{status}</td>
                <td>{label}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

interface Reader {
  project: string;
  /** Reviewers see who does how well, and what labels are. */
  reviewer: boolean;
}

/** `reader` null: somebody without a token yet. @throws Failure `NotFound` */
export async function progressPage(db: Db, id: string, reader: Reader | null) {
  const frame = { title: 'Progress · perennial', script: 'page', needsToken: reader === null };
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

// Pages of label batches: the list of open ones, and the frame in which the client's script labels.
import { listBatches, type BatchView } from '../db/labeling.js';
import type { Db } from '../db/client.js';
import { layout } from './layout.js';
import { SignIn } from './sign-in.js';

const kinds: Record<BatchView['kind'], string> = {
  single: 'one class',
  multiple: 'any number of classes',
  span: 'pieces of text',
  box: 'boxes in pictures',
  number: 'a number',
  preference: 'which of two is better',
};

function Line({ batch }: { batch: BatchView }) {
  const { tasks, labelled, skipped, auto } = batch.counts;
  return (
    <tr>
      <td>
        <a href={`/label/${batch.id}`}>{batch.id}</a>
      </td>
      <td>
        <a href={`/label/${batch.id}/review`}>review</a>, <a href={`/label/${batch.id}/progress`}>progress</a>
      </td>
      <td>{kinds[batch.kind]}</td>
      <td class="number">
        {labelled + skipped + auto} of {tasks}
      </td>
      <td>
        <time datetime={batch.deadline}>{batch.deadline.replace('T', ' ').replace(/:\d\d\.\d+Z$/, ' UTC')}</time>
      </td>
    </tr>
  );
}

function Batches({ batches, title }: { batches: BatchView[]; title: string }) {
  if (batches.length === 0) return null;
  return (
    <>
      <h2>{title}</h2>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">Batch</th>
              <th scope="col">More</th>
              <th scope="col">Asks for</th>
              <th scope="col" class="number">
                Answered
              </th>
              <th scope="col">Until</th>
            </tr>
          </thead>
          <tbody>
            {batches.map((batch) => (
              <Line batch={batch} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** `project` null: the reader has no token yet. */
export async function labelListPage(db: Db, project: string | null) {
  const frame = { title: 'Labeling · perennial', script: 'page', needsToken: project === null };
  if (project === null) return layout(frame, <SignIn />);
  const page = { limit: 200, cursor: null };
  const [open, review] = await Promise.all([
    listBatches(db, { project, status: 'open', page }),
    listBatches(db, { project, status: 'review', page }),
  ]);
  const none = open.items.length + review.items.length === 0;
  return layout(
    frame,
    <>
      <h1>Labeling</h1>
      {none && <p>No batch waits for people. One opens when a pipeline with `labeling` runs.</p>}
      <Batches batches={open.items} title="Waiting for labels" />
      <Batches batches={review.items} title="Waiting for a reviewer" />
    </>,
  );
}

const titles = { label: 'Labeling', review: 'Review' };

/** Says nothing of anybody's data: the script asks the API, as who it is. */
export function labelPage(script: keyof typeof titles, batch: string, needsToken: boolean) {
  const title = titles[script];
  return layout(
    { title: `${title} · perennial`, script, needsToken },
    <div id="app" data-batch={batch}>
      <h1>{title}</h1>
      <noscript>
        <p>This page needs JavaScript, from this server only.</p>
      </noscript>
    </div>,
  );
}

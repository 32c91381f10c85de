// Pages of label batches: where labelers and reviewers begin, and the frame in which the client's script labels.
import type { Db } from '../db/client.js';
import { type BatchLeft, disputesOf, leftFor, mostCounted } from '../db/labeling-home.js';
import { listBatches, type BatchView } from '../db/labeling.js';
import type { LabelKind } from '../domain/label-kind.js';
import { layout } from './layout.js';
import type { Reader } from './reader.js';
import { SignIn } from './sign-in.js';
import { Heads, Moment, numbers, Wide } from './words.js';

const kinds: Record<LabelKind, string> = {
  single: 'one class',
  multiple: 'any number of classes',
  span: 'pieces of text',
  box: 'boxes in pictures',
  number: 'a number',
  preference: 'which of two is better',
};

function leftWords({ left, lacks, paused }: BatchLeft): string {
  if (paused) return 'you are paused';
  if (lacks !== null) return `needs ${lacks}`;
  if (left === 0) return 'nothing right now';
  return left >= mostCounted ? `${mostCounted} or more` : String(left);
}

function openTasks({ counts }: BatchView): number {
  return counts.tasks - counts.labelled - counts.skipped - counts.auto;
}

function OpenLine({ batch, left }: { batch: BatchView; left: BatchLeft | undefined }) {
  const [leftHead, words] = left === undefined ? ['Open', openTasks(batch)] : ['Left for you', leftWords(left)];
  return (
    <tr role="row">
      <td role="cell" class="whole">
        <a href={`/label/${batch.id}`}>{batch.id}</a>
      </td>
      <td role="cell" data-head="Dataset">
        {batch.dataset}
      </td>
      <td role="cell" data-head="Asks for">
        {kinds[batch.kind]}
      </td>
      <td role="cell" class="number" data-head={leftHead}>
        {words}
      </td>
      <td role="cell" class="number" data-head="Answered">
        {batch.counts.tasks - openTasks(batch)} of {batch.counts.tasks}
      </td>
      <td role="cell" data-head="Until">
        <Moment at={batch.deadline} />
      </td>
      <td role="cell">
        <a href={`/label/${batch.id}/progress`}>progress</a>, <a href={`/label/${batch.id}/review`}>review</a>
      </td>
    </tr>
  );
}

/** A table; on a phone each row is a card, and the roles keep it a table for whoever hears it. */
function Open({ batches, left }: { batches: BatchView[]; left: Map<string, BatchLeft> | null }) {
  if (batches.length === 0) return <p>No batch waits for people. One opens when a pipeline with `labeling` runs.</p>;
  const heads = ['Batch', 'Dataset', 'Asks for', left === null ? 'Open' : 'Left for you', 'Answered', 'Until', 'More'];
  return (
    <Wide name="Waiting for labels">
      <table class="cards" role="table">
        <thead role="rowgroup">
          <tr role="row">
            {heads.map((name, place) => (
              <th role="columnheader" scope="col" class={place === 3 || place === 4 ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {batches.map((batch) => (
            <OpenLine batch={batch} left={left?.get(batch.id)} />
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Review({ batches, disputes }: { batches: BatchView[]; disputes: Map<string, number> }) {
  const waiting = batches.filter(({ id, status }) => status === 'review' || disputes.has(id));
  if (waiting.length === 0) return <p>Nothing waits for a reviewer.</p>;
  return (
    <Wide name="Waiting for a reviewer">
      <table>
        <Heads columns={['Batch', 'Dataset', ...numbers('Labels', 'Disputes'), 'Until', 'More']} />
        <tbody>
          {waiting.map((batch) => (
            <tr>
              <td>
                <a href={`/label/${batch.id}/review`}>{batch.id}</a>
              </td>
              <td>{batch.dataset}</td>
              <td class="number">{batch.counts.labelled + batch.counts.auto}</td>
              <td class="number">{disputes.get(batch.id) ?? 0}</td>
              <td>
                <Moment at={batch.deadline} />
              </td>
              <td>
                <a href={`/label/${batch.id}/progress`}>progress</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Mended({ left }: { left: Map<string, BatchLeft> | null }) {
  const mended = [...(left ?? new Map<string, BatchLeft>()).values()].filter((one) => one.mended > 0);
  if (mended.length === 0) return null;
  return (
    <ul>
      {mended.map(({ batch, mended: count }) => (
        <li>
          {count === 1 ? 'One of your answers was' : `${count} of your answers were`} changed by a reviewer:{' '}
          <a href={`/label/${batch}/reviewed`}>look at {batch}</a>
        </li>
      ))}
    </ul>
  );
}

/**
 * What waits for labelers and for reviewers. `labeler`: whose items are counted; null: nobody is known.
 */
export async function Waiting({ db, project, labeler }: { db: Db; project: string; labeler: string | null }) {
  const page = { limit: 200, cursor: null };
  const [open, review, left, disputes] = await Promise.all([
    listBatches(db, { project, status: 'open', page }),
    listBatches(db, { project, status: 'review', page }),
    labeler === null ? null : leftFor(db, project, labeler),
    disputesOf(db, project),
  ]);
  return (
    <>
      <h2>Waiting for labels</h2>
      <Open batches={open.items} left={left} />
      <Mended left={left} />
      <h2>Waiting for a reviewer</h2>
      <Review batches={[...review.items, ...open.items]} disputes={disputes} />
    </>
  );
}

/** `reader` null: somebody without a token yet. `labeler`: the name that the script knows. */
export async function labelListPage(db: Db, reader: Reader | null, labeler: string | null) {
  const own = { script: 'page', needsToken: reader === null, refreshSeconds: 10, personal: true };
  const frame = { title: 'Labeling · perennial', ...own };
  if (reader === null) return layout(frame, <SignIn />);
  return layout(
    frame,
    <>
      <h1>Labeling</h1>
      <Waiting db={db} project={reader.project} labeler={reader.name ?? labeler} />
    </>,
  );
}

const titles = { label: 'Labeling', review: 'Review', reviewed: 'Your reviewed answers' };

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

// What a browser is shown where nothing is: an address that is none, or an id that nobody has.
import { layout } from './layout.js';

/** `what`: in words, such as `there is no campaign cam_0`. */
export function notFoundPage(what: string) {
  return layout(
    { title: 'Not found · perennial' },
    <>
      <h1>There is nothing here</h1>
      <p>{what}</p>
      <p>
        <a href="/label">All batches</a> · <a href="/campaigns">All campaigns</a>
      </p>
    </>,
  );
}

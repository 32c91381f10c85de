// How numbers, moments and reasons read on the pages, and the frame of whatever may be wider than the screen.
import type { Child } from 'hono/jsx';
import type { AskReason } from '../domain/labeling.js';

/** `73 %`; a dash where nothing is known. */
export const percent = (share: number | null) => (share === null ? '–' : `${(100 * share).toFixed(0)} %`);

/** Three digits that count; a dash where nothing is known. */
export const decimal = (value: number | null) => (value === null ? '–' : value.toPrecision(3));

/** How each reason to ask reads. */
export const askWords: Record<AskReason, string> = {
  strategy: 'chosen by the strategy',
  explore: 'drawn by chance, to explore',
  named: 'named by whoever opened the batch',
  audit: 'to check labels that the model gave',
  suspect: 'its label looks wrong',
};

/** A moment to the minute. */
export function Moment({ at }: { at: string }) {
  return <time datetime={at}>{at.replace('T', ' ').slice(0, 16)} UTC</time>;
}

/** Scrolls sideways by finger and by keys, so that the page does not. `name` says what is inside. */
export function Wide({ name, children }: { name: string; children: Child }) {
  return (
    <div class="wide" tabindex={0} role="region" aria-label={name}>
      {children}
    </div>
  );
}

export interface Column {
  name: string;
  number?: boolean;
}

/** The heads of a table's columns. */
export function Heads({ columns }: { columns: (string | Column)[] }) {
  return (
    <thead>
      <tr>
        {columns.map((one) => {
          const { name, number } = typeof one === 'string' ? { name: one, number: false } : one;
          return (
            <th scope="col" class={number ? 'number' : undefined}>
              {name}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

/** Heads of columns with numbers. */
export const numbers = (...names: string[]): Column[] => names.map((name) => ({ name, number: true }));

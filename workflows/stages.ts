// The stage table that Temporal's UI shows on top of a run, and the search attribute of the present stage.
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { SearchAttribute } from '../domain/ids.js';

type State = 'pending' | 'running' | 'waiting' | 'succeeded' | 'skipped' | 'failed';

const publishEveryMs = 1_000;

interface Row {
  name: string;
  state: State;
  startedAt: number | null;
  seconds: number | null;
  note: string;
  /** As shown. */
  line: string;
}

const marks: Record<State, string> = {
  pending: '·',
  running: '▶',
  waiting: '…',
  succeeded: '✓',
  skipped: '–',
  failed: '✗',
};

/** Sets one of our keyword attributes: one event in the history. */
export function setAttribute(name: SearchAttribute, value: string): void {
  upsertSearchAttributes([{ key: { name, type: 'KEYWORD' }, value }]);
}

export class StageTable {
  private readonly rows = new Map<string, Row>();
  private headline = '';
  stage = '';
  waitingFor: string | null = null;
  private published = '';
  private publishedAt = Number.NEGATIVE_INFINITY;

  private title: string;

  constructor(title: string) {
    this.title = title;
  }

  retitle(title: string): void {
    this.title = title;
    this.show();
  }

  plan(names: string[]): void {
    for (const name of names) this.rows.set(name, newRow(name, 'pending', ''));
    this.show();
  }

  set(name: string, state: State, note: string): void {
    const row = this.rows.get(name) ?? newRow(name, state, note);
    if (state === 'running') {
      row.startedAt = Date.now();
      this.stage = name;
      this.publish();
    } else if (row.startedAt !== null) row.seconds = (Date.now() - row.startedAt) / 1000;
    row.state = state;
    if (note !== '') row.note = note;
    row.line = lineOf(row);
    this.rows.set(name, row);
    this.show();
  }

  /** What the run waits for now, in one line, or null when it goes on. */
  wait(line: string | null): void {
    this.waitingFor = line;
    this.publish();
    this.headline = line === null ? '' : `**Waiting for ${line}**`;
    this.show();
  }

  /** Visibility is written by the server for each upsert, so quick steps share one; a wait is always shown. */
  private publish(): void {
    const due = Date.now() - this.publishedAt >= publishEveryMs || this.waitingFor !== null || this.stage === 'train';
    if (!due || this.published === this.stage) return;
    this.published = this.stage;
    this.publishedAt = Date.now();
    setAttribute('PerennialStage', this.stage);
  }

  private show(): void {
    const table = [...this.rows.values()].map(({ line }) => line);
    setCurrentDetails(
      [`### ${this.title}`, this.headline, '| | step | took | |', '|---|---|---|---|', ...table].join('\n'),
    );
  }
}

/** A row's line is made when the row changes: a long plan is shown often. */
function lineOf({ state, name, seconds, note }: Omit<Row, 'line'>): string {
  const cell = note.replace(/\|/g, '/').replace(/\s+/g, ' ').slice(0, 200);
  return `| ${marks[state]} | ${name} | ${seconds === null ? '' : `${seconds.toFixed(1)} s`} | ${cell} |`;
}

function newRow(name: string, state: State, note: string): Row {
  const row = { name, state, startedAt: null, seconds: null, note };
  return { ...row, line: lineOf(row) };
}

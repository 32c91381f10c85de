// What the demo shows: one line per fact with the seconds since the start, a bar for training, a table at the end.

import type { RunEvent } from './client.js';

export interface Screen {
  say(line: string): void;
  event(event: RunEvent): void;
  table(rows: [string, ...string[]][]): void;
}

const width = 24;

/** With `--json` all of this goes to stderr, so that stdout's last line is the JSON object. */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  const startedAt = performance.now();
  const begun = new Map<string, number>();
  let barShown = false;
  const line = (text: string) => {
    if (barShown) stream.write(stream.isTTY ? '\r\x1b[2K' : '\n');
    barShown = false;
    stream.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
  };
  const bar = (step: number, total: number, loss: number) => {
    const done = Math.round((width * step) / Math.max(1, total));
    const text = `          training ${'█'.repeat(done)}${'░'.repeat(width - done)} ${step}/${total} steps, loss ${loss.toFixed(4)}`;
    stream.write(stream.isTTY ? `\r${text}` : `${barShown ? '\n' : ''}${text}`);
    barShown = true;
  };
  return {
    say: line,
    event({ type, at, data }) {
      const node = String(data['node'] ?? '');
      if (type === 'step.started') begun.set(node, Date.parse(at));
      if (type === 'step.finished') {
        const took = ((Date.parse(at) - (begun.get(node) ?? Date.parse(at))) / 1000).toFixed(2);
        line(`${node.padEnd(10)} ${took.padStart(6)} s  ${String(data['summary'] ?? '')}`);
      }
      if (type === 'step.progress') {
        const progress = data['progress'] as { step?: number; totalSteps?: number; loss?: number } | undefined;
        if (progress?.totalSteps) bar(progress.step ?? 0, progress.totalSteps, progress.loss ?? 0);
      }
      if (type === 'step.retrying' || type === 'step.failed')
        line(`${node}: ${type.slice(5)}: ${String(data['detail'] ?? '')}`);
    },
    table(rows) {
      const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
      stream.write('\n');
      for (const row of rows)
        stream.write(
          `  ${row
            .map((cell, i) => cell.padEnd(widths[i] ?? 0))
            .join('   ')
            .trimEnd()}\n`,
        );
      stream.write('\n');
    },
  };
}

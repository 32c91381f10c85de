// The profile as one page: no script, no request to anywhere, light and dark. Every text from the data is escaped.
import type { ColumnProfile, Profile } from '../../domain/dataset.js';

/** Columns with a plot of their own; the others are in the table. */
const plottedColumns = 300;
const plot = { width: 260, height: 70 };

const style = `:root{color-scheme:light dark;--ink:#1d2330;--soft:#667085;--line:#e4e7ec;--bar:#3b6fd4;--back:#fff;--warn:#b54708}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#2b3240;--bar:#7aa2f7;--back:#12151c;--warn:#f4b740}}
body{margin:0;padding:32px;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:auto}h1{font-size:24px;margin:0 0 16px}h2{font-size:17px;margin:32px 0 12px}
.heads{display:flex;flex-wrap:wrap;gap:32px}.heads b{display:block;font-size:26px;font-variant-numeric:tabular-nums}
.heads span,.soft{color:var(--soft)}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:16px}
article{border:1px solid var(--line);border-radius:8px;padding:12px 16px;overflow:hidden}h3{font-size:14px;margin:0;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin-top:8px}rect{fill:var(--bar)}text{fill:var(--soft);font:10px system-ui,sans-serif}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere}.warn{color:var(--warn)}`;

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => escapes[char] ?? char);
}

function short(value: number | string | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : String(Number(value.toPrecision(5)));
}

/** Numbers of rows with thin spaces, as in 1 234 567. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

function shareOf(count: number, rows: number): string {
  return rows === 0 ? '0 %' : `${Number(((100 * count) / rows).toPrecision(3))} %`;
}

function histogram(column: ColumnProfile): string {
  const { counts, edges } = column.histogram ?? { counts: [], edges: [] };
  const most = counts.reduce((high, count) => Math.max(high, count), 1);
  const step = plot.width / counts.length;
  const bars = counts.map((count, index) => {
    const height = (count / most) * (plot.height - 14);
    const at = (index * step).toFixed(1);
    return `<rect x="${at}" y="${(plot.height - 14 - height).toFixed(1)}" width="${Math.max(1, step - 1).toFixed(1)}" height="${height.toFixed(1)}"><title>${short(edges[index])} to ${short(edges[index + 1])}: ${count}</title></rect>`;
  });
  const ends = `<text x="0" y="${plot.height - 2}">${short(edges[0])}</text><text x="${plot.width}" y="${plot.height - 2}" text-anchor="end">${short(edges.at(-1))}</text>`;
  return `<svg viewBox="0 0 ${plot.width} ${plot.height}" role="img" aria-label="histogram">${bars.join('')}${ends}</svg>`;
}

function bars(column: ColumnProfile): string {
  const top = (column.top ?? []).slice(0, 6);
  const most = top[0]?.count ?? 1;
  const rows = top.map(({ value, count }, index) => {
    const y = index * 16;
    const label = value.length > 24 ? `${value.slice(0, 23)}…` : value;
    return `<rect x="130" y="${y + 2}" width="${((count / most) * 90).toFixed(1)}" height="11"/><text x="0" y="${y + 11}">${escapeHtml(label)}</text><text x="${plot.width}" y="${y + 11}" text-anchor="end">${count}</text>`;
  });
  return `<svg viewBox="0 0 ${plot.width} ${Math.max(16, top.length * 16)}" role="img" aria-label="most frequent values">${rows.join('')}</svg>`;
}

function card(column: ColumnProfile, rows: number): string {
  const facts = [column.type, `${grouped(column.distinct)} distinct`];
  if (column.missing > 0) facts.push(`${shareOf(column.missing, rows)} missing`);
  if (column.mean !== undefined) facts.push(`mean ${short(column.mean)}`, `sd ${short(column.sd)}`);
  if (column.type === 'date') facts.push(`${short(column.min)} to ${short(column.max)}`);
  const drawing = column.histogram ? histogram(column) : column.top ? bars(column) : '';
  return `<article><h3>${escapeHtml(column.name)}</h3><div class="soft">${escapeHtml(facts.join(' · '))}</div>${drawing}</article>`;
}

function missingTable(profile: Profile): string {
  const gaps = profile.columns.filter((column) => column.missing > 0).sort((a, b) => b.missing - a.missing);
  if (gaps.length === 0) return '<p>No cell is missing.</p>';
  const lines = gaps
    .slice(0, 100)
    .map(
      (column) =>
        `<tr><td>${escapeHtml(column.name)}</td><td>${grouped(column.missing)}</td><td${column.missing > profile.rows / 2 ? ' class="warn"' : ''}>${shareOf(column.missing, profile.rows)}</td></tr>`,
    );
  const more = gaps.length > 100 ? `<p class="soft">and ${gaps.length - 100} more columns</p>` : '';
  return `<table><tr><th>column</th><th>missing</th><th>share</th></tr>${lines.join('')}</table>${more}`;
}

/** The page. The same profile gives the same bytes. */
export function profileReport(name: string, profile: Profile): string {
  const { rows, columns, label } = profile;
  const missing = columns.reduce((sum, column) => sum + column.missing, 0);
  const heads = [
    [grouped(rows), 'rows'],
    [grouped(columns.length), 'columns'],
    [shareOf(missing, rows * columns.length), 'of cells missing'],
    [grouped(label.count), 'labelled rows'],
    [grouped(label.distinct), label.type === 'category' ? 'classes' : 'distinct labels'],
  ];
  const cards = columns.slice(0, plottedColumns).map((column) => card(column, rows));
  const more =
    columns.length > plottedColumns ? `<p class="soft">and ${columns.length - plottedColumns} more columns</p>` : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(name)}: profile</title><style>${style}</style></head><body><main>
<h1>${escapeHtml(name)}</h1><div class="heads">${heads.map(([value, what]) => `<div><b>${value}</b><span>${what}</span></div>`).join('')}</div>
<h2>Label</h2><div class="grid">${card(label, rows)}</div>
<h2>Columns</h2><div class="grid">${cards.join('\n')}</div>${more}
<h2>Missing values</h2>${missingTable(profile)}
</main></body></html>
`;
}

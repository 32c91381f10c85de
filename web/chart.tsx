// The one way to make a chart: bars as a table, drawn as SVG on the server. A reader who sees no bars reads the numbers.

export interface Bar {
  label: string;
  value: number;
  /** Stands behind the number. */
  note?: string;
}

/** Bars from zero to the largest. `unit` heads the numbers. */
export function BarChart({ title, unit, bars }: { title: string; unit: string; bars: Bar[] }) {
  const most = Math.max(...bars.map(({ value }) => value), 0) || 1;
  return (
    <table class="chart">
      <caption>{title}</caption>
      <thead>
        <tr>
          <td></td>
          <td></td>
          <th scope="col" class="number">
            {unit}
          </th>
        </tr>
      </thead>
      <tbody>
        {bars.map(({ label, value, note }) => (
          <tr>
            <th scope="row">{label}</th>
            <td class="bar-cell">
              <svg width="100%" height="14" aria-hidden="true">
                <rect class="bar-mark" x="0" y="1" height="12" width={`${((100 * value) / most).toFixed(2)}%`} />
              </svg>
            </td>
            <td class="number">
              {value}
              {note && <span class="soft"> {note}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// A measured value over a count, each point with its interval: drawn as SVG on the server. Places across are percent, so that
// letters keep their size on every screen. Whoever sees no picture reads the table that stands below it.

export interface Point {
  x: number;
  y: number;
  /** The interval; null: none was measured. */
  lo: number | null;
  hi: number | null;
  /** Stands above the point. */
  label: string;
}

export interface CurveProps {
  /** Says what is to be seen. */
  title: string;
  xUnit: string;
  yUnit: string;
  points: Point[];
  /** A level that is wanted. */
  target: { value: number; label: string } | null;
}

const height = 300;
/** Percent of the width, and pixels of the height, that the plot lies between. */
const [left, right, top, bottom] = [9, 97, 24, 252];
/** So many labels stand beside each other on a phone. */
const mostLabels = 12;
/** Points that are closer than this share of the width have one label: theirs would lie on each other. */
const apart = 0.02;

/** The labels and what they stand above: `2–3` above the higher one of two points that are too close. */
function joined(points: Point[], most: number): { x: number; y: number; label: string }[] {
  const groups: Point[][] = [];
  for (const point of points) {
    const last = groups.at(-1);
    if (last && point.x - (last[0]?.x ?? 0) < apart * most) last.push(point);
    else groups.push([point]);
  }
  return groups.map((group) => {
    const [first, last] = [group[0] as Point, group.at(-1) as Point];
    const label = group.length === 1 ? first.label : `${first.label}–${last.label}`;
    return { x: (first.x + last.x) / 2, y: Math.max(...group.map(({ y, hi }) => hi ?? y)), label };
  });
}

/** About five round numbers over a range, `finest` apart at least. */
export function ticks(least: number, most: number, finest = 0): number[] {
  const rough = Math.max((most - least) / 5, finest) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999) ?? rough;
  const first = Math.ceil(least / step - 1e-9);
  const last = Math.floor(most / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) =>
    Number(((first + place) * step).toFixed(10)),
  );
}

/** The range of all values, a little wider, within 0 to 1 where they are. */
function range(values: number[]): [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = (most - least) * 0.08 || 0.05;
  const within = least >= 0 && most <= 1;
  return within ? [Math.max(0, least - pad), Math.min(1, most + pad)] : [least - pad, most + pad];
}

interface Scale {
  x(value: number): string;
  y(value: number): number;
}

function Axes({
  scale,
  xs,
  ys,
  xUnit,
  yUnit,
}: {
  scale: Scale;
  xs: number[];
  ys: number[];
  xUnit: string;
  yUnit: string;
}) {
  return (
    <>
      {ys.map((value) => (
        <>
          <line class="grid" x1={`${left}%`} x2={`${right}%`} y1={scale.y(value)} y2={scale.y(value)} />
          <text x={`${left - 1}%`} y={scale.y(value) + 4} text-anchor="end">
            {value}
          </text>
        </>
      ))}
      {xs.map((value) => (
        <text x={scale.x(value)} y={bottom + 18} text-anchor="middle">
          {value}
        </text>
      ))}
      <text x={`${right}%`} y={bottom + 38} text-anchor="end">
        {xUnit}
      </text>
      <text x={`${left}%`} y={12}>
        {yUnit}
      </text>
    </>
  );
}

/** Points from left to right, joined by lines. */
export function Curve({ title, xUnit, yUnit, points, target }: CurveProps) {
  if (points.length === 0) return null;
  const wanted = target === null ? [] : [target.value];
  const [low, high] = range([...points.flatMap(({ y, lo, hi }) => [y, lo ?? y, hi ?? y]), ...wanted]);
  // a little room behind the last point
  const most = Math.max(...points.map(({ x }) => x)) * 1.04 || 1;
  const scale: Scale = {
    x: (value) => `${(left + ((right - left) * value) / most).toFixed(2)}%`,
    y: (value) => Number((bottom - ((bottom - top) * (value - low)) / (high - low)).toFixed(1)),
  };
  const labels = joined(points, most);
  const every = Math.ceil(labels.length / mostLabels);
  return (
    <svg class="curve" role="img" aria-label={title} width="100%" height={height}>
      <Axes {...{ scale, xUnit, yUnit }} xs={ticks(0, most, 1)} ys={ticks(low, high)} />
      {target !== null && (
        <>
          <line class="wanted" x1={`${left}%`} x2={`${right}%`} y1={scale.y(target.value)} y2={scale.y(target.value)} />
          <text x={`${left + 0.5}%`} y={scale.y(target.value) - 5}>
            {target.label}
          </text>
        </>
      )}
      {points.slice(1).map(({ x, y }, place) => {
        const before = points[place] ?? { x, y };
        return <line class="way" x1={scale.x(before.x)} y1={scale.y(before.y)} x2={scale.x(x)} y2={scale.y(y)} />;
      })}
      {points.map(({ x, y, lo, hi }) => (
        <>
          {lo !== null && hi !== null && (
            <line class="interval" x1={scale.x(x)} x2={scale.x(x)} y1={scale.y(lo)} y2={scale.y(hi)} />
          )}
          <circle class="point" cx={scale.x(x)} cy={scale.y(y)} r={4} />
        </>
      ))}
      {labels.map(
        ({ x, y, label }, place) =>
          (labels.length - 1 - place) % every === 0 && (
            <text class="round" x={scale.x(x)} y={scale.y(y) - 6} text-anchor="middle">
              {label}
            </text>
          ),
      )}
    </svg>
  );
}

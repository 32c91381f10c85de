// The model card of a version: generated text for people (Mitchell et al. 2019, "Model Cards for Model Reporting").
import type { CalibrationReport, Evaluation, MeasuredMetrics, ProbabilityReport } from './evaluation.js';
import type { Json } from './json.js';
import type { RunContext, Verdict } from './run.js';

export interface ModelCardInput {
  context: RunContext;
  digest: string;
  /** The eight kinds, as stored with the version. */
  details: { [key: string]: Json };
  evaluation: Evaluation;
  verdict: Verdict;
}

/** Columns in the list of what matters. */
const toldColumns = 20;

const number = (value: number | null): string => (value === null ? 'none' : String(Number(value.toPrecision(4))));

/** Text inside a table cell: no line breaks, no column marks. */
const cell = (text: string): string => text.replace(/[|\r\n]/g, ' ');

function metricRows(metrics: MeasuredMetrics): string[] {
  return Object.entries(metrics).map(
    ([name, { value, lo, hi, n, method }]) =>
      `| ${name} | ${number(value)} | ${number(lo)} to ${number(hi)} | ${n} | ${method} |`,
  );
}

function table(head: string[], rows: string[]): string[] {
  if (rows.length === 0) return ['none', ''];
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows, ''];
}

function facts(values: Json | undefined): string[] {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return ['none', ''];
  return [
    ...Object.entries(values).map(
      ([name, value]) => `- ${name}: ${cell(typeof value === 'string' ? value : JSON.stringify(value))}`,
    ),
    '',
  ];
}

function calibrationLines(calibration: CalibrationReport | null): string[] {
  if (calibration === null) return ['none', ''];
  const { temperature, rows, reason, before, after } = calibration;
  const fitted = reason === null ? `from ${rows} validation rows` : `not fitted: ${reason}`;
  const line = ({ logLoss, ece, brier }: ProbabilityReport) =>
    `${number(logLoss)} | ${number(ece)} | ${number(brier)} |`;
  return [
    `Temperature ${number(temperature)}, ${fitted}.`,
    '',
    ...table(['', 'log loss', 'ECE', 'Brier score'], [`| without | ${line(before)}`, `| with | ${line(after)}`]),
  ];
}

/** Markdown. Depends on nothing but its input. */
export function modelCard({ context, digest, details, evaluation, verdict }: ModelCardInput): string {
  const slices = evaluation.slices.map((slice) => {
    const values = Object.entries(slice.metrics).map(([name, { value }]) => `${name} ${number(value)}`);
    return `| ${cell(slice.column)} = ${cell(slice.value)} | ${slice.n} | ${values.join(', ')} |`;
  });
  const checks = (verdict.checks ?? []).map(
    ({ name, measured, bound, passed }) =>
      `| ${cell(name)} | ${number(measured)} | ${cell(bound)} | ${passed ? 'yes' : 'no'} |`,
  );
  const variants = evaluation.variants.map(
    ({ variant, sizeBytes, agreement }) =>
      `| ${variant}${variant === evaluation.served ? ', served' : ''} | ${sizeBytes} | ${number(agreement)} |`,
  );
  const classes = evaluation.perClass.map(
    (report) =>
      `| ${cell(report.label)} | ${number(report.precision)} | ${number(report.recall)} | ${number(report.f1)} | ${report.support} |`,
  );
  const { calibration, importance } = evaluation;
  const columns = importance.columns
    .slice(0, toldColumns)
    .map(({ column, mean, sd }) => `| ${cell(column)} | ${number(mean)} | ${number(sd)} |`);
  return [
    `# ${context.pipeline}, candidate of run ${context.number}`,
    '',
    `Digest \`${digest}\`.`,
    '',
    '## What it is',
    ...facts(details['model']),
    '## How good it is',
    `Measured on ${evaluation.n} labelled holdout rows, which took no part in training; 95 % intervals.`,
    '',
    ...table(['metric', 'value', 'interval', 'n', 'method'], metricRows(evaluation.metrics)),
    `The gate ${verdict.passed ? 'passed' : 'did not pass'}: ${verdict.reasons.join('; ')}.`,
    '',
    ...(checks.length > 0 ? ['### Checks', ...table(['check', 'measured', 'required', 'passed'], checks)] : []),
    '### Variants',
    ...table(['variant', 'bytes', 'agreement with float32'], variants),
    '### Per class',
    ...table(['class', 'precision', 'recall', 'F1', 'n'], classes),
    '### Per slice',
    ...table(['slice', 'n', 'metrics'], slices),
    '### Probabilities',
    ...calibrationLines(calibration),
    '### Which columns matter',
    `How much worse ${importance.metric} gets when a column's values change places, on ${importance.rows} rows, ${importance.repeats} times each.`,
    '',
    ...table(['column', 'loss', 'spread'], columns),
    '## What it was made of',
    ...facts(details['data']),
    '## How it was made',
    ...facts(details['code']),
    '## What it runs on',
    ...facts(details['dependencies']),
  ].join('\n');
}

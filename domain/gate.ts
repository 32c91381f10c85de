// The gate: whether a candidate is good enough, as a verdict with reasons. A failed gate is a result, never an exception.
import type { CheckReport } from './check.js';
import { metricRules } from './metric.js';
import type { PipelineDocument } from './pipeline.js';
import type { Verdict } from './run.js';

/** One sentence of a verdict, held or not. */
export interface Rule {
  passed: boolean;
  reason: string;
}

export interface GateInput {
  gate: Omit<PipelineDocument['gate'], 'checks'>;
  /** The candidate's metrics on the holdout, by name. */
  metrics: Record<string, number>;
  /** The champion's metrics on the same holdout rows; null where the model has no champion yet. */
  champion: { version: number; metrics: Record<string, number> } | null;
  /** What was found about variants. */
  rules?: Rule[];
  checks?: CheckReport[];
}

/** Room for the rounding of `champion - notWorseBy`, which is no difference in quality. */
const roundingSlack = 1e-12;

/** Up to 6 significant digits, as many as tell the numbers of a sentence apart. */
function written(value: number, ...others: number[]): string {
  for (let digits = 4; digits <= 6; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (others.every((other) => other === value || Number(other.toPrecision(digits)) !== short)) return String(short);
  }
  return String(value);
}

function boundRule(metric: string, value: number, bound: number, side: 'min' | 'max'): Rule {
  const passed = side === 'min' ? value >= bound : value <= bound;
  const [good, bad] = side === 'min' ? ['at least', 'below'] : ['at most', 'above'];
  const numbers = `${metric} ${written(value, bound)} is`;
  return passed
    ? { passed, reason: `${numbers} ${good} the required ${written(bound, value)}` }
    : { passed, reason: `${numbers} ${bad} the required ${written(bound, value)}` };
}

function championRule({ gate, metrics, champion }: GateInput, notWorseBy: number): Rule {
  const { metric } = gate;
  if (champion === null) return { passed: true, reason: 'there is no champion to compare with' };
  const value = metrics[metric] ?? NaN;
  const theirs = champion.metrics[metric] ?? NaN;
  const name = `champion version ${champion.version}`;
  if (!Number.isFinite(theirs)) return { passed: false, reason: `${metric} of ${name} is not a finite number` };
  const higher = metricRules[metric].better === 'higher';
  const worseBy = higher ? theirs - value : value - theirs;
  const passed = worseBy <= notWorseBy + roundingSlack;
  const versus = `${metric} ${written(value, theirs)} against ${written(theirs, value)} of ${name}`;
  const how = worseBy > 0 ? `worse by ${written(worseBy, notWorseBy)}` : 'not worse';
  return { passed, reason: `${versus}: ${how}, ${written(notWorseBy, worseBy)} is allowed` };
}

/**
 * Passes only where the metric is finite and every rule of the gate holds: value ≥ min, value ≤ max, and not worse than
 * the champion by more than `notWorseBy` (in units of the metric); the further `rules` and the checks hold too. Every rule gives one
 * sentence, held or not.
 */
export function judge(input: GateInput): Verdict {
  const { checks = [], rules: further = [] } = input;
  const rules = [...metricRulesOf(input), ...further, ...checks];
  const verdict = { passed: rules.every(({ passed }) => passed), reasons: rules.map(({ reason }) => reason) };
  return checks.length === 0 ? verdict : { ...verdict, checks };
}

function metricRulesOf(input: GateInput): Rule[] {
  const { gate, metrics } = input;
  const value = metrics[gate.metric];
  if (value === undefined) return [{ passed: false, reason: `${gate.metric} was not measured` }];
  if (!Number.isFinite(value)) {
    return [{ passed: false, reason: `${gate.metric} is ${value}, not a finite number` }];
  }
  const rules: Rule[] = [];
  if (gate.min !== null) rules.push(boundRule(gate.metric, value, gate.min, 'min'));
  if (gate.max !== null) rules.push(boundRule(gate.metric, value, gate.max, 'max'));
  if (gate.champion) rules.push(championRule(input, gate.champion.notWorseBy));
  return rules;
}

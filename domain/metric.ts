// What each metric of the gate means: which way is better, and where its values can lie.
import type { MetricName } from './pipeline.js';

export interface MetricRule {
  better: 'higher' | 'lower';
  min: number;
  max: number;
}

export const metricRules: Record<MetricName, MetricRule> = {
  accuracy: { better: 'higher', min: 0, max: 1 },
  macroF1: { better: 'higher', min: 0, max: 1 },
  logLoss: { better: 'lower', min: 0, max: Infinity },
  rmse: { better: 'lower', min: 0, max: Infinity },
  mae: { better: 'lower', min: 0, max: Infinity },
  r2: { better: 'higher', min: -Infinity, max: 1 },
};

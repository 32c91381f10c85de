// Figures of this process for Prometheus: durations by route pattern, predictions by model version, Node's own.
import { createMiddleware } from 'hono/factory';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';
import type { Env } from '../deps.js';

export interface Metrics {
  registry: Registry;
  predictions: Counter<'model' | 'version'>;
  inferenceRequests: Counter<'model' | 'code'>;
  inferenceSeconds: Histogram<'model'>;
  middleware: ReturnType<typeof createMiddleware<Env>>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const seconds = new Histogram({
    name: 'perennial_http_request_duration_seconds',
    help: 'Time from the request to the start of its answer, by route pattern',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return {
    registry,
    predictions: new Counter({
      name: 'perennial_predictions_total',
      help: 'Rows predicted, by model and version',
      labelNames: ['model', 'version'],
      registers: [registry],
    }),
    inferenceRequests: new Counter({
      name: 'perennial_inference_requests_total',
      help: 'Requests for predictions, by model and status',
      labelNames: ['model', 'code'],
      registers: [registry],
    }),
    inferenceSeconds: new Histogram({
      name: 'perennial_inference_duration_seconds',
      help: 'Time in the model, by model',
      labelNames: ['model'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
      registers: [registry],
    }),
    middleware: createMiddleware<Env>(async (c, next) => {
      const stop = seconds.startTimer();
      await next();
      stop({ method: c.req.method, route: c.get('route'), status: String(c.res.status) });
    }),
  };
}

// The cpu pool: data, features, scoring, packaging, evaluation, registration, and trainings that need no device.
import { cpuDevice, hostPool } from './compute.js';
import { runPool } from './pool.js';

await runPool('cpu', (deps) => hostPool(deps, { slots: 2, device: cpuDevice }));

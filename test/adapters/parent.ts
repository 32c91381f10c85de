// A process for child.test.ts to kill: starts a scorer on a model that takes long and prints the scorer's pid.
import { createScorer } from '../../adapters/child.js';
import type { Digest } from '../../domain/artifact.js';

const [path, digest] = process.argv.slice(2) as [string, Digest];
const scorer = createScorer({ deadlineMs: 60_000, memoryLimitMb: 2000 });
const answer = scorer.run({ path, digest }, { x: { type: 'float32', dims: [1], data: Float32Array.of(0) } });
console.log(scorer.pid);
await answer;

// What a training takes at the least, known from sizes alone: a model far too large is refused before it is begun, and not
// when the memory is spent after minutes.
import { Failure } from '../../domain/failures.js';
import type { TrainerType } from '../../domain/model.js';

export interface Needs {
  /** Numbers that are learnt; null where that is only known at the end. */
  parameters: number | null;
  /** Memory that is certainly taken: a lower bound, without the runtime itself. */
  bytes: number;
}

const mebibyte = 2 ** 20;
const told = (value: number): string => Math.ceil(value).toLocaleString('en-US');

/** @throws Failure `ModelTooLarge` where the needs are above the limit */
export function requireMemory(trainer: TrainerType, { parameters, bytes }: Needs, limitMb: number): void {
  if (bytes <= limitMb * mebibyte) return;
  const size = parameters === null ? `${trainer} on these rows` : `${trainer} with ${told(parameters)} parameters`;
  const limit = `the limit is ${told(limitMb)} MiB (PERENNIAL_MEMORY_MB)`;
  throw new Failure('ModelTooLarge', `${size} takes at least ${told(bytes / mebibyte)} MiB to train; ${limit}`);
}

// All trainers by type. A new one is a line here, its table in domain/trainers.ts, and a file like linear.ts.
import type { TrainerType } from '../../domain/model.js';
import { linear } from './linear.js';
import type { Trainer } from './trainer.js';

export const trainers: Record<TrainerType, Trainer> = { linear };

// What the database would give back of an import that nobody has touched.
import type { Brought, TakenTask } from '../../../domain/exchange/form.js';
import type { FieldFault } from '../../../domain/failures.js';
import type { Read } from '../../../domain/fields.js';

export const at = '2024-05-03T10:00:00.000Z';

export function takenTasks({ tasks }: Brought): TakenTask[] {
  return tasks.map((task, position) => ({
    ...{ taskId: `task_${position}`, position, key: task.key, item: task.item, status: 'open', gold: task.gold },
    ...{ label: null, confidence: null, suggestion: task.suggestion, reason: 'named', review: null, reviewer: null },
    answers: task.answers.map((answer, index) => ({
      ...{ id: `ann_${position}_${index}`, ...answer, outcome: 'accepted', past: false, at: answer.at ?? at },
    })),
    ...{ reviews: [], source: task.source },
  }));
}

export function readOr<T>(read: Read<T>, value: unknown): { value: T | undefined; faults: FieldFault[] } {
  const faults: FieldFault[] = [];
  const found = read(value, '', faults);
  return { value: faults.length === 0 ? found : undefined, faults };
}

/** The value, which must be there. */
export function mustRead<T>(read: Read<T>, value: unknown): T {
  const { value: found, faults } = readOr(read, value);
  if (found === undefined) throw new Error(JSON.stringify(faults));
  return found;
}

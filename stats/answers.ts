// Answers of several people to the same items, without the empty cells: three columns of one length, one row per answer.

export interface Answers {
  items: number;
  annotators: number;
  classes: number;
  /** Of each answer its item, 0 to `items` - 1. */
  item: ArrayLike<number>;
  /** Of each answer who gave it, 0 to `annotators` - 1; one person may answer an item several times. */
  annotator: ArrayLike<number>;
  /** Of each answer its class, 0 to `classes` - 1. */
  label: ArrayLike<number>;
}

/** The same answers, those of one item side by side: item i has the places `start[i]` to `start[i + 1]` - 1. */
export interface AnswersByItem {
  start: Uint32Array;
  annotator: Uint32Array;
  label: Uint32Array;
}

function checkColumn(name: string, values: ArrayLike<number>, below: number, length: number): void {
  if (values.length !== length) throw new RangeError(`${values.length} values of ${name} for ${length} answers`);
  for (let at = 0; at < length; at += 1) {
    const value = values[at]!;
    if (!(Number.isInteger(value) && value >= 0 && value < below)) {
      throw new RangeError(`answer ${at} has the ${name} ${value}, not one of 0 to ${below - 1}`);
    }
  }
}

/**
 * The answers sorted by item, those of an item in the order given.
 * @throws RangeError for columns of unequal length or a number out of range
 */
export function byItem({ items, annotators, classes, item, annotator, label }: Answers): AnswersByItem {
  const count = item.length;
  checkColumn('item', item, items, count);
  checkColumn('annotator', annotator, annotators, count);
  checkColumn('label', label, classes, count);
  const start = new Uint32Array(items + 1);
  for (let at = 0; at < count; at += 1) start[item[at]! + 1]! += 1;
  for (let i = 0; i < items; i += 1) start[i + 1]! += start[i]!;
  const next = start.slice(0, items);
  const sorted = { start, annotator: new Uint32Array(count), label: new Uint32Array(count) };
  for (let at = 0; at < count; at += 1) {
    const place = next[item[at]!]!++;
    sorted.annotator[place] = annotator[at]!;
    sorted.label[place] = label[at]!;
  }
  return sorted;
}

/** How often each item got each class: items x classes, row-major. @throws RangeError as `byItem` */
export function voteCounts(answers: Answers): Float64Array {
  const { start, label } = byItem(answers);
  const counts = new Float64Array(answers.items * answers.classes);
  for (let i = 0; i < answers.items; i += 1) {
    for (let at = start[i]!; at < start[i + 1]!; at += 1) counts[i * answers.classes + label[at]!]! += 1;
  }
  return counts;
}

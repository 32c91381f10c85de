// The known word nearest to one that is not known, for messages: "did you mean …?".

/** Words longer than this are not compared: the table has one row per letter. */
const maxLength = 64;

/** Case and the separators `_`, `-`, ` ` do not count: `macro_f1` is `macroF1`. */
function plain(word: string): string {
  return word
    .slice(0, maxLength)
    .toLowerCase()
    .replace(/[_\s-]/g, '');
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each of cost 1 (Boytsov 2011, §2.1). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/**
 * The word of `words` that was most likely meant, or null where none is near: at most one error per three letters, else
 * the only word that contains the given one or lies in it (`f1` -> `macroF1`, `minimum` -> `min`). The first of equally near words wins.
 */
export function nearestWord(word: string, words: readonly string[]): string | null {
  const given = plain(word);
  if (given === '') return null;
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const known of words) {
    const candidate = plain(known);
    const distance = editDistance(given, candidate);
    const allowed = Math.max(1, Math.ceil(Math.max(given.length, candidate.length) / 3));
    if (distance > allowed || distance >= candidate.length || distance >= bestDistance) continue;
    best = known;
    bestDistance = distance;
  }
  if (best !== null) return best;
  if (given.length < 2) return null;
  const around = words.filter((known) => {
    const candidate = plain(known);
    return candidate.includes(given) || (candidate.length >= 3 && given.includes(candidate));
  });
  return around.length === 1 ? (around[0] ?? null) : null;
}

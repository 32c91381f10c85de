// Rows whose label says how good a model is: drawn uniformly, answered by people. And rows that no person labelled.
import { sql } from 'drizzle-orm';
import { rows, type Tx } from './client.js';

export interface CheckedKey {
  key: string;
  /** People gave it a label, then or later. */
  answered: boolean;
}

/**
 * Rows of a dataset that a run drew uniformly from its pool (the exploration share) and asked people about. A model that is
 * to be judged by them must not have learnt from them. What people skipped or left is among them: without the hard ones
 * the sample would flatter. Draws of a relabelling are none, since they are of labelled rows. Those that automatic labels which stand would have covered are left out: rows like them are no
 * longer in the pool.
 */
export function checkedKeys(tx: Tx, dataset: string): Promise<CheckedKey[]> {
  return rows<CheckedKey>(
    tx,
    sql`select t.key collate "C" as key, bool_or(l.key is not null) as answered
      from label_batch b join label_task t on t.batch = b.id
        left join label l on l.dataset = b.dataset and l.key = t.key and l.source = 'human'
      where b.dataset = ${dataset} and b.run is not null and b.status in ('accepted', 'partial') and t.gold is null
        and t.given is null and t.reason = 'explore' and t.probability is not null
        and t.key not in (select jsonb_array_elements_text(a.covered) from auto_batch a
          where a.dataset = ${dataset} and a.status in ('landing', 'standing'))
      group by 1 order by 1`,
  );
}

/** Keys of a dataset whose label is a model's. */
export async function keysOfModels(tx: Tx, dataset: string): Promise<string[]> {
  const found = await rows<{ key: string }>(
    tx,
    sql`select key from label where dataset = ${dataset} and source in ('auto', 'pseudo') order by key collate "C"`,
  );
  return found.map(({ key }) => key);
}

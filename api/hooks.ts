// The database's half of putting an artifact (DESIGN §3b.8), for the API's process.
import type { PutHooks } from '../adapters/store/index.js';
import { lockArtifact, touchArtifact } from '../db/artifact.js';
import { inTransaction, type Db } from '../db/client.js';

export function artifactHooks(db: Db): PutHooks {
  return {
    touch: (ref) => inTransaction(db, (tx) => touchArtifact(tx, ref)),
    lock: (ref, look) =>
      inTransaction(db, async (tx) => {
        if (!(await lockArtifact(tx, ref.digest))) {
          await touchArtifact(tx, ref);
          await lockArtifact(tx, ref.digest);
        }
        await look();
      }),
  };
}

// A featurised part as files of this machine.
import type { Artifacts } from '../../adapters/store/index.js';
import type { MatrixRef } from '../../domain/model.js';

export async function matrixPaths(
  artifacts: Artifacts,
  { x, y, weights }: MatrixRef,
): Promise<{ x: string; y: string; weights?: string }> {
  return {
    x: await artifacts.localPath(x),
    y: await artifacts.localPath(y),
    ...(weights && { weights: await artifacts.localPath(weights) }),
  };
}

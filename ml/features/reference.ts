// The features in plain TypeScript: the oracle that the graph is tested against, and its definition in prose.
import type { FittedFeatures, ModelInputs } from '../../domain/model.js';
import { categoryWidth, featureWidth } from './graph.js';

/** Row-major rows x width, computed in float32 like the graph. `inputs` are as the model takes them. */
export function featuriseReference(fitted: FittedFeatures, inputs: ModelInputs): Float32Array {
  const width = featureWidth(fitted);
  const x = new Float32Array(inputs.rows * width);
  const round = Math.fround;
  for (let row = 0; row < inputs.rows; row++) {
    let place = row * width;
    fitted.num.forEach(({ impute, mean, scale }, i) => {
      const raw = inputs.num[row * fitted.num.length + i] ?? NaN;
      const value = Number.isNaN(raw) ? round(impute) : raw;
      x[place++] = round(round(value - round(mean)) * round(scale));
    });
    fitted.cat.forEach((category, i) => {
      const value = inputs.cat[row * fitted.cat.length + i] ?? '';
      const index = category.values.indexOf(value);
      if (value !== '') x[place + (index === -1 ? category.values.length : index)] = 1;
      place += categoryWidth(category);
    });
  }
  return x;
}

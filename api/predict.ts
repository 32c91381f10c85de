// Predictions of the champion from JSON rows.
import { z } from '@hono/zod-openapi';
import { newId } from '../db/id.js';
import { Failure } from '../domain/failures.js';
import type { ModelOutputs, Signature } from '../domain/model.js';
import { toModelInputs } from '../domain/signature.js';
import { rowsLimitBytes } from './body.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { rowsAtOnce, type Predictor } from './predictor.js';
import { nameSchema } from './schemas.js';

const bodySchema = z
  .looseObject({ rows: z.array(z.record(z.string(), z.unknown()), { error: 'must be an array of objects' }) })
  .openapi('Predict', { example: { rows: [{ px00: 0, px01: 12 }] } });
const predictionSchema = z.looseObject({
  id: z.string(),
  label: z.string().optional(),
  probabilities: z.record(z.string(), z.number()).optional(),
  value: z.number().optional(),
});
const answerSchema = z
  .looseObject({ modelVersion: z.int(), predictions: z.array(predictionSchema) })
  .openapi('Predictions');

function predictionOf(signature: Signature, outputs: ModelOutputs, row: number) {
  const id = newId('pred');
  if (signature.task === 'regression') return { id, value: outputs.value?.[row] };
  const { classes } = signature;
  const own = classes.map((name, place) => [name, outputs.probabilities?.[row * classes.length + place]] as const);
  return { id, label: outputs.label?.[row], probabilities: Object.fromEntries(own) };
}

export function predictEndpoint(predictor: Predictor): Endpoint {
  return endpoint(
    {
      method: 'post',
      path: '/api/v1/models/{name}/predict',
      tag: 'models',
      summary: 'Ask the champion; null is a missing value, an absent column a fault',
      role: 'viewer',
      params: { name: nameSchema },
      body: bodySchema,
      limitBytes: rowsLimitBytes,
      answers: { 200: { description: 'Answers in the order of the rows', schema: answerSchema } },
      problems: ['NoChampion', 'TooLarge', 'ModelInvalid', 'ModelBroken', 'ChildDied'],
    },
    async ({ body, identity, params }, deps) => {
      const { rows } = body;
      if (rows.length > rowsAtOnce) throw new Failure('TooLarge', `a request may have at most ${rowsAtOnce} rows`);
      const model = await predictor.served(deps, identity.project, params.name);
      const taken = toModelInputs(model.signature, rows);
      if ('faults' in taken) {
        const [first] = taken.faults;
        throw new Failure('InvalidRequest', `${first?.path} ${first?.message}`, { faults: taken.faults });
      }
      const outputs = await predictor.answer(deps, params.name, model, taken.inputs);
      const predictions = rows.map((_, row) => predictionOf(model.signature, outputs, row));
      return { status: 200, body: { modelVersion: model.version, predictions } };
    },
  );
}

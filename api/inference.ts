// The Open Inference Protocol (REST, version 2) over the same session as `predict`. Bodies are JSON.
import { z } from '@hono/zod-openapi';
import { Failure } from '../domain/failures.js';
import { rowsLimitBytes } from './body.js';
import type { ApiDeps } from './deps.js';
import { endpoint, jsonAnswer, type ApiRequest, type Endpoint } from './endpoint.js';
import { rowsAtOnce, type Predictor } from './predictor.js';
import { invalid } from './problem.js';
import { nameSchema } from './schemas.js';
import { describeTensors, inputsOf, outputsOf, tensorSchema, type Tensor } from './tensors.js';

const inferSchema = z
  .looseObject({
    id: z.string().max(200).optional(),
    inputs: z.array(tensorSchema).min(1).max(5_000),
    outputs: z
      .array(z.looseObject({ name: z.string().max(200) }))
      .max(10)
      .optional(),
  })
  .openapi('InferenceRequest');
const inferredSchema = z
  .looseObject({ model_name: z.string(), model_version: z.string(), outputs: z.array(tensorSchema) })
  .openapi('InferenceResponse');
const described = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });
const metadataSchema = z
  .looseObject({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(described),
    outputs: z.array(described),
  })
  .openapi('InferenceModel');

const tag = 'inference';
const modelParam = { model: nameSchema };

interface InferBody {
  id?: string | undefined;
  inputs: Tensor[];
  outputs?: { name: string }[] | undefined;
}

async function infer(request: ApiRequest<{ model: string }, unknown, InferBody>, deps: ApiDeps, predictor: Predictor) {
  const { body, identity, params } = request;
  const model = await predictor.served(deps, identity.project, params.model);
  const inputs = inputsOf(model.signature, body.inputs);
  if (inputs.rows > rowsAtOnce) throw new Failure('TooLarge', `a request may have at most ${rowsAtOnce} rows`);
  const outputs = await predictor.answer(deps, params.model, model, inputs);
  const all = outputsOf(model.signature, outputs, inputs.rows);
  const wanted = body.outputs?.map(({ name }, index) => {
    const found = all.find((output) => output.name === name);
    if (!found) throw invalid(`outputs[${index}].name`, `must be ${all.map((output) => output.name).join(' or ')}`);
    return found;
  });
  const answer = {
    model_name: params.model,
    model_version: String(model.version),
    ...(body.id === undefined ? {} : { id: body.id }),
    outputs: wanted ?? all,
  };
  return { status: 200, body: answer };
}

function server(): Endpoint[] {
  const about = z.looseObject({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });
  const live = z.looseObject({ live: z.boolean() });
  return [
    endpoint(
      {
        method: 'get',
        path: '/v2',
        tag,
        summary: 'The inference server',
        role: 'viewer',
        answers: { 200: { description: 'Name, version, extensions', schema: about } },
      },
      async () => ({ status: 200, body: { name: 'perennial', version: '1', extensions: [] } }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/v2/health/live',
        tag,
        summary: 'Whether the server lives',
        role: 'viewer',
        answers: { 200: { description: 'It lives', schema: live } },
      },
      async () => ({ status: 200, body: { live: true } }),
    ),
    endpoint(
      {
        method: 'get',
        path: '/v2/health/ready',
        tag,
        summary: 'Whether the server can answer',
        role: 'viewer',
        answers: { 200: { description: 'It can', schema: live }, 503: { description: 'Not now', schema: live } },
      },
      async (_, deps) => {
        const { checks } = await deps.ready();
        const ready = checks['postgres'] === 'ok' || checks['postgres'] === undefined;
        return { status: ready ? 200 : 503, body: { live: true, ready } };
      },
    ),
  ];
}

export function inferenceEndpoints(predictor: Predictor): Endpoint[] {
  return [
    ...server(),
    endpoint(
      {
        method: 'get',
        path: '/v2/models/{model}',
        tag,
        summary: 'Inputs and outputs of the champion',
        role: 'viewer',
        params: modelParam,
        answers: { 200: { description: 'The champion', schema: metadataSchema } },
        problems: ['NoChampion'],
      },
      async ({ identity, params }, deps) => {
        const { version, signature } = await predictor.served(deps, identity.project, params.model);
        const body = {
          name: params.model,
          versions: [String(version)],
          platform: 'onnx_onnxv1',
          ...describeTensors(signature),
        };
        return { status: 200, body };
      },
    ),
    endpoint(
      {
        method: 'get',
        path: '/v2/models/{model}/ready',
        tag,
        summary: 'Whether the champion can answer',
        role: 'viewer',
        params: modelParam,
        answers: {
          200: { description: 'It can', schema: z.looseObject({ name: z.string(), ready: z.boolean() }) },
          503: { description: 'No champion, or its file is not there', schema: z.looseObject({ ready: z.boolean() }) },
        },
      },
      async ({ identity, params }, deps) => {
        try {
          await predictor.served(deps, identity.project, params.model);
          return { status: 200, body: { name: params.model, ready: true } };
        } catch (error) {
          if (!(error instanceof Failure) || error.failure === 'NotFound') throw error;
          return jsonAnswer({
            status: 503,
            body: { name: params.model, ready: false, error: 'the champion is not ready' },
          });
        }
      },
    ),
    endpoint(
      {
        method: 'post',
        path: '/v2/models/{model}/infer',
        tag,
        summary: 'Ask the champion with tensors: num and cat, or one tensor per column',
        role: 'viewer',
        params: modelParam,
        body: inferSchema,
        limitBytes: rowsLimitBytes,
        answers: { 200: { description: 'Tensors', schema: inferredSchema } },
        problems: ['NoChampion', 'TooLarge', 'ModelInvalid', 'ModelBroken', 'ChildDied'],
      },
      (request, deps) => infer(request, deps, predictor),
    ),
  ];
}

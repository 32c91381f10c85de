// The trainers that a pipeline can name, each with its parameters as JSON Schema.
import { z } from '@hono/zod-openapi';
import { commandSchema } from '../domain/command.js';
import { trainerTypes } from '../domain/model.js';
import { parametersSchema } from '../domain/trainers.js';
import { endpoint, type Endpoint } from './endpoint.js';
import { listSchema } from './schemas.js';

const trainerSchema = z
  .looseObject({
    type: z.enum([...trainerTypes, 'command']),
    parameters: z.record(z.string(), z.unknown()).openapi({ description: 'JSON Schema of `trainer.params`' }),
  })
  .openapi('Trainer');

export function trainerEndpoints(): Endpoint[] {
  return [
    endpoint(
      {
        method: 'get',
        path: '/api/v1/trainers',
        tag: 'pipelines',
        summary: 'Trainers with the JSON Schema of their parameters',
        role: 'viewer',
        answers: { 200: { description: 'All of them', schema: listSchema(trainerSchema) } },
      },
      () => {
        const builtIn = trainerTypes.map((type) => ({ type, parameters: parametersSchema(type) }));
        const items = [...builtIn, { type: 'command', parameters: commandSchema }];
        return Promise.resolve({ status: 200, body: { items, nextCursor: null } });
      },
    ),
  ];
}

// The events of a run as server-sent events, resumable with Last-Event-ID: numbers without gaps, an end after run.ended.
import { z } from '@hono/zod-openapi';
import { streamSSE } from 'hono/streaming';
import { eventsAfter, type RunEvent } from '../db/event.js';
import { runView } from '../db/run.js';
import { liveRunStatuses, type RunStatus } from '../domain/run.js';
import type { ApiDeps } from './deps.js';
import { endpoint, type ApiRequest, type Endpoint } from './endpoint.js';
import { invalid } from './problem.js';
import { idSchema } from './schemas.js';

const pollMs = 500;
const heartbeatMs = 15_000;
const pageSize = 200;

function startOf(request: ApiRequest<unknown, { after?: string | undefined }>): number {
  const text = request.c.req.header('last-event-id') ?? request.query.after ?? '0';
  if (!/^\d{1,9}$/.test(text)) throw invalid('Last-Event-ID', 'must be the id of an event of this run');
  return Number(text);
}

function isOver(status: RunStatus): boolean {
  return !(liveRunStatuses as readonly RunStatus[]).includes(status);
}

async function follow(request: ApiRequest<{ id: string }, { after?: string | undefined }>, deps: ApiDeps) {
  const run = request.params.id;
  const view = await runView(deps.db, request.identity.project, run);
  let last = startOf(request);
  let found = await eventsAfter(deps.db, run, last, pageSize);
  // nothing will ever come: 204 tells an EventSource to stop asking
  if (found.length === 0 && isOver(view.status)) return new Response(null, { status: 204 });
  const { c } = request;
  c.header('cache-control', 'no-store');
  c.header('x-accel-buffering', 'no');
  return streamSSE(c, async (stream) => {
    const send = async (event: RunEvent): Promise<boolean> => {
      const { number, type, at, data } = event;
      await stream.writeSSE({ id: String(number), event: type, data: JSON.stringify({ number, type, at, data }) });
      last = number;
      return type === 'run.ended';
    };
    let spokenAt = Date.now();
    while (!stream.aborted && !stream.closed && !deps.closing?.aborted) {
      for (const event of found) if (await send(event)) return;
      if (found.length > 0) spokenAt = Date.now();
      else if (Date.now() - spokenAt >= heartbeatMs) {
        await stream.write(': still here\n\n');
        spokenAt = Date.now();
      }
      if (found.length < pageSize) await stream.sleep(pollMs);
      if (stream.aborted) return;
      found = await eventsAfter(deps.db, run, last, pageSize);
    }
  });
}

export function runEventsEndpoint(): Endpoint {
  return endpoint(
    {
      method: 'get',
      path: '/api/v1/runs/{id}/events',
      tag: 'runs',
      summary: 'Events of a run as they happen (server-sent events), after Last-Event-ID',
      role: 'viewer',
      params: { id: idSchema('run') },
      query: { after: z.string().optional().openapi({ description: 'As Last-Event-ID, for clients without headers' }) },
      answers: {
        200: { description: 'A stream', schema: z.string(), mediaType: 'text/event-stream' },
        204: { description: 'The run is over and there is nothing after that event' },
      },
    },
    follow,
  );
}

// A small HTTP client of perennial's API for the examples: JSON in, JSON out, problems as errors, events as a stream.

export interface RunView {
  id: string;
  number: number;
  status: string;
  stage: string | null;
  waitingFor: { kind: string; id: string; deadline: string } | null;
  steps: {
    name: string;
    status: string;
    startedAt: string | null;
    finishedAt: string | null;
    summary: string | null;
    attempts: number;
    lastFailure: { type: string; title: string; detail: string; at: string | null } | null;
  }[];
  metrics: Record<string, number>;
  verdict: { passed: boolean; reasons: string[] } | null;
  modelVersion: number | null;
  failure: { type: string; title: string; detail: string; step: string | null } | null;
  temporalUrl: string | null;
  evaluation: string | null;
}

export interface RunEvent {
  number: number;
  type: string;
  at: string;
  data: Record<string, unknown>;
}

export class Api {
  readonly base: string;

  constructor(base: string) {
    this.base = base;
  }

  async get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  async post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    return this.call<T>('POST', path, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
  }

  async text(path: string): Promise<string> {
    return (await this.fetch('GET', path)).text();
  }

  /** ETag and bytes of a file. */
  async file(path: string): Promise<{ etag: string; bytes: Uint8Array }> {
    const response = await this.fetch('GET', path);
    return { etag: response.headers.get('etag') ?? '', bytes: new Uint8Array(await response.arrayBuffer()) };
  }

  /** A run's events from the first on, until it has ended. */
  async *events(run: string): AsyncGenerator<RunEvent> {
    const response = await this.fetch('GET', `/api/v1/runs/${run}/events`);
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = parseEvent(text.slice(0, end));
        text = text.slice(end + 2);
        if (event) yield event;
        if (event?.type === 'run.ended') return;
      }
    }
  }

  private async call<T>(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<T> {
    return (await (await this.fetch(method, path, body, headers)).json()) as T;
  }

  private async fetch(
    method: string,
    path: string,
    body?: string,
    headers?: Record<string, string>,
  ): Promise<Response> {
    const init: RequestInit = { method, ...(headers ? { headers } : {}), ...(body === undefined ? {} : { body }) };
    const response = await fetch(this.base + path, init);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

function parseEvent(block: string): RunEvent | null {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const data = field('data');
  if (data === undefined) return null;
  return JSON.parse(data) as RunEvent;
}

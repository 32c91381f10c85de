// The API as a readable page, rendered from the OpenAPI document.
import { html } from 'hono/html';
import type { OpenApiDocument } from '../openapi.js';
import { layout } from './layout.js';

interface Media {
  schema?: unknown;
}
interface Operation {
  method: string;
  path: string;
  operationId?: string;
  summary?: string;
  tags?: string[];
  'x-role'?: string;
  parameters?: {
    name: string;
    in: string;
    required?: boolean;
    schema?: { description?: string };
    description?: string;
  }[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses?: Record<string, { description?: string; content?: Record<string, Media> }>;
}

function operations(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    (['get', 'post', 'put', 'delete'] as const).flatMap((method) => {
      const operation = (item as Record<string, unknown>)[method] as Omit<Operation, 'method' | 'path'> | undefined;
      return operation ? [{ ...operation, method, path }] : [];
    }),
  );
}

/** A schema as indented JSON, references by their name. */
function schemaText(schema: unknown): string {
  return JSON.stringify(
    schema,
    (key, value: unknown) => {
      if (key === '$ref' && typeof value === 'string') return value.replace('#/components/schemas/', '');
      return key === 'additionalProperties' && typeof value === 'object' && JSON.stringify(value) === '{}'
        ? undefined
        : value;
    },
    2,
  );
}

function schemas(label: string, content: Record<string, Media> | undefined) {
  const entries = Object.entries(content ?? {});
  if (entries.length === 0) return '';
  const types = entries.map(([type]) => type).join(', ');
  return html`<details>
    <summary>${label}: ${types}</summary>
    <pre tabindex="0">${schemaText(entries[0]?.[1].schema ?? {})}</pre>
  </details>`;
}

function parameters(list: Operation['parameters']) {
  if (!list || list.length === 0) return '';
  const rows = list.map(
    (parameter) =>
      html`<tr>
        <td><code>${parameter.name}</code></td>
        <td>${parameter.in}${parameter.required ? ', required' : ''}</td>
        <td>${parameter.description ?? parameter.schema?.description ?? ''}</td>
      </tr>`,
  );
  return html`<div class="wide" tabindex="0" role="group" aria-label="Parameters">
    <table>
      <thead>
        <tr>
          <th>Parameter</th>
          <th>In</th>
          <th>Meaning</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function section(operation: Operation) {
  const answers = Object.entries(operation.responses ?? {}).map(
    ([status, answer]) =>
      html`<tr>
        <td>${status}</td>
        <td>${answer.description ?? ''}${Number(status) < 400 ? schemas('body', answer.content) : ''}</td>
      </tr>`,
  );
  return html`<section id="${operation.operationId ?? ''}">
    <h3><span class="method">${operation.method.toUpperCase()}</span> <code>${operation.path}</code></h3>
    <p>${operation.summary ?? ''} <span class="soft">Needs the role ${operation['x-role'] ?? ''}.</span></p>
    ${parameters(operation.parameters)}
    ${schemas(operation.requestBody?.required ? 'Body, required' : 'Body', operation.requestBody?.content)}
    <div class="wide" tabindex="0" role="group" aria-label="Answers">
      <table>
        <thead>
          <tr>
            <th>Status</th>
            <th>Answer</th>
          </tr>
        </thead>
        <tbody>
          ${answers}
        </tbody>
      </table>
    </div>
  </section>`;
}

export function docsPage(document: OpenApiDocument) {
  const all = operations(document);
  const tags = [...new Set(all.flatMap(({ tags: own }) => own ?? []))];
  const named = Object.entries(document.components?.schemas ?? {}).map(
    ([name, schema]) =>
      html`<h3 id="schema-${name}">${name}</h3>
        <pre tabindex="0">${schemaText(schema)}</pre>`,
  );
  const content = html`<h1>The API of perennial</h1>
    <p class="soft">
      The same as <a href="/openapi.json">openapi.json</a>, for reading. <a href="/">Back to the start</a>
    </p>
    <nav aria-label="On this page">
      ${tags.map((tag) => html`<a href="#${tag}">${tag}</a>`)}<a href="#schemas">schemas</a>
    </nav>
    ${tags.map(
      (tag) =>
        html`<h2 id="${tag}">${tag}</h2>
          ${all.filter(({ tags: own }) => own?.includes(tag)).map(section)}`,
    )}
    <h2 id="schemas">Schemas</h2>
    ${named}`;
  return layout('The API of perennial', content);
}

// The start page: where things are, and what each pipeline does right now.
import { html } from 'hono/html';
import { listPipelines, type PipelineView } from '../../db/pipeline.js';
import { runView, type RunView } from '../../db/run.js';
import { Waiting } from '../../web/labeling.js';
import type { Reader } from '../../web/reader.js';
import { SignIn } from '../../web/sign-in.js';
import { temporalUrl, type ApiDeps } from '../deps.js';
import { layout } from './layout.js';

interface Row {
  pipeline: PipelineView;
  run: RunView | null;
}

function state({ pipeline, run }: Row): string {
  if (run?.waitingFor) return `run ${run.number} waits for ${run.waitingFor.kind} until ${run.waitingFor.deadline}`;
  if (run) return `run ${run.number} is at ${run.stage ?? 'its start'}`;
  return pipeline.paused ? 'paused' : 'idle';
}

function table(deps: ApiDeps, found: Row[]) {
  if (found.length === 0) {
    return html`<p>No pipeline yet. Post one:</p>
      <pre tabindex="0">
curl -X POST --data-binary @pipeline.yaml -H 'content-type: application/yaml' &lt;this address&gt;/api/v1/pipelines</pre>`;
  }
  const line = (row: Row) => {
    const { pipeline, run } = row;
    const url = temporalUrl(deps, run?.temporal ?? pipeline.loop.workflowId);
    return html`<tr>
      <td><a href="/api/v1/pipelines/${pipeline.name}">${pipeline.name}</a></td>
      <td>${pipeline.version}</td>
      <td>
        ${pipeline.champion === null ? 'none yet' : html`<a href="/api/v1/models/${pipeline.name}">version ${pipeline.champion}</a>`}
      </td>
      <td>${run ? html`<a href="/api/v1/runs/${run.id}">${state(row)}</a>` : state(row)}</td>
      <td>${url === null ? '' : html`<a href="${url}">workflow</a>`}</td>
    </tr>`;
  };
  return html`<div class="wide" tabindex="0" role="region" aria-label="Pipelines">
    <table>
      <thead>
        <tr>
          <th>Pipeline</th>
          <th>Version</th>
          <th>Champion</th>
          <th>Now</th>
          <th>Temporal</th>
        </tr>
      </thead>
      <tbody>
        ${found.map(line)}
      </tbody>
    </table>
  </div>`;
}

async function rowsOf(deps: ApiDeps, project: string): Promise<Row[]> {
  const { items } = await listPipelines(deps.db, project, { limit: 100, cursor: null });
  return Promise.all(
    items.map(async (pipeline) => ({
      pipeline,
      run: pipeline.liveRun === null ? null : await runView(deps.db, project, pipeline.liveRun),
    })),
  );
}

/** Where everything else is. */
function addresses({ temporalUi, namespace }: ApiDeps) {
  const workflows = temporalUi && `${temporalUi}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return html`<nav aria-label="Addresses">
    <a href="/docs">API</a><a href="/openapi.json">OpenAPI</a>
    ${workflows ? html`<a href="${workflows}">Temporal UI</a>` : ''}
    <a href="/api/v1/runs">Runs</a><a href="/campaigns">Campaigns</a>
    <a href="/api/v1/approvals?status=open">Open approvals</a><a href="/readyz">Readiness</a
    ><a href="/metrics">Metrics</a>
  </nav>`;
}

/** `reader` null: somebody without a token, who is asked for one. `labeler`: the name that the script knows. */
export async function startPage(deps: ApiDeps, reader: Reader | null, labeler: string | null) {
  const own = { script: 'page', needsToken: reader === null, refreshSeconds: 10, personal: true };
  const frame = { title: 'perennial', ...own };
  if (reader === null) return layout(frame, html`${SignIn()}${addresses(deps)}`);
  const { project, name } = reader;
  const content = html`<h1>perennial</h1>
    <p class="soft">Models that keep themselves trained, with people in the loop.</p>
    ${addresses(deps)} ${await Waiting({ db: deps.db, project, labeler: name ?? labeler })}
    <h2>Pipelines</h2>
    ${table(deps, await rowsOf(deps, project))}`;
  return layout(frame, content);
}

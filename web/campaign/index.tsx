// Pages of labeling campaigns: the list, one campaign with its learning curve, and the form that begins one.
import { campaignPeople } from '../../db/campaign-asked.js';
import { campaignView, listCampaigns, type CampaignSummary, type CampaignView } from '../../db/campaign-view.js';
import type { Db } from '../../db/client.js';
import { listPipelines } from '../../db/pipeline.js';
import type { AutoRules } from '../../domain/auto-label.js';
import { layout } from '../layout.js';
import type { Reader } from '../reader.js';
import { SignIn } from '../sign-in.js';
import { Heads, Moment, Wide } from '../words.js';
import { AutoBatches } from './auto.js';
import { BeginForm, DecisionForm } from './form.js';
import { People } from './people.js';
import { LabelSources, LearningCurve, Rounds } from './rounds.js';
import { Standing, StopRules } from './rules.js';

const frameOf = (title: string, reader: Reader | null) => ({
  ...{ title: `${title} · perennial`, script: 'campaign', needsToken: reader === null },
});
const refreshSeconds = 10;

function Line({ campaign }: { campaign: CampaignSummary }) {
  const { id, pipeline, status, why, startedBy, createdAt } = campaign;
  return (
    <tr>
      <td>
        <a href={`/campaigns/${id}`}>{id}</a>
      </td>
      <td>{pipeline}</td>
      <td>{status}</td>
      <td>{why}</td>
      <td>{startedBy}</td>
      <td>
        <Moment at={createdAt} />
      </td>
    </tr>
  );
}

/** Campaigns, the latest first. `reader` null: somebody without a token yet. */
export async function campaignListPage(db: Db, reader: Reader | null, cursor: string | null) {
  const frame = { ...frameOf('Campaigns', reader), refreshSeconds };
  if (reader === null) return layout(frame, <SignIn />);
  const { items, nextCursor } = await listCampaigns(db, { project: reader.project, page: { limit: 50, cursor } });
  return layout(
    frame,
    <>
      <h1>Campaigns</h1>
      <p>A campaign asks people for labels, round after round, with a training in between, until a rule stops it.</p>
      {reader.operator && (
        <p>
          <a href="/campaigns/new">Begin a campaign</a>
        </p>
      )}
      {items.length === 0 ? (
        <p>There is none yet.</p>
      ) : (
        <Wide name="Campaigns">
          <table>
            <Heads columns={['Campaign', 'Pipeline', 'State', 'Why', 'Begun by', 'Begun']} />
            <tbody>
              {items.map((one) => (
                <Line campaign={one} />
              ))}
            </tbody>
          </table>
        </Wide>
      )}
      {nextCursor !== null && <a href={`/campaigns?cursor=${encodeURIComponent(nextCursor)}`}>Earlier ones</a>}
    </>,
  );
}

const autoWords = ({ maxError, confidence, auditShare }: AutoRules) =>
  `at most ${maxError} of them wrong with confidence ${confidence}; people check ${auditShare} of them`;

const askedWords: Record<string, string> = {
  unlabelled: 'rows without a label',
  suspects: 'rows whose label is probably wrong',
};

function Settings({ campaign }: { campaign: CampaignView }) {
  const { settings, pipeline, startedBy, createdAt } = campaign;
  return (
    <dl>
      <dt>Pipeline</dt>
      <dd>
        <a href={`/api/v1/pipelines/${pipeline}`}>{pipeline}</a>
      </dd>
      <dt>Begun</dt>
      <dd>
        <Moment at={createdAt} /> by {startedBy}
      </dd>
      <dt>Strategy</dt>
      <dd>{settings.strategies.join(', then ')}</dd>
      <dt>Asks about</dt>
      <dd>{askedWords[settings.ask] ?? settings.ask}</dd>
      <dt>Items a round</dt>
      <dd>
        {settings.batchSize}, {settings.explore} of them drawn by chance
      </dd>
      <dt>Labels without people</dt>
      <dd>{settings.auto ? autoWords(settings.auto) : 'none'}</dd>
    </dl>
  );
}

interface Asked {
  db: Db;
  id: string;
  reader: Reader | null;
  /** Where a person sees a workflow; null without a known UI. */
  temporalUrl(workflowId: string): string | null;
}

/** One campaign. @throws Failure `NotFound` */
export async function campaignPage({ db, id, reader, temporalUrl }: Asked) {
  const frame = { ...frameOf('Campaign', reader), refreshSeconds };
  if (reader === null) return layout(frame, <SignIn />);
  const campaign = await campaignView(db, reader.project, id);
  const people = reader.reviewer ? await campaignPeople(db, id) : null;
  const workflow = temporalUrl(campaign.temporal);
  return layout(
    frame,
    <>
      <h1>Campaign of {campaign.pipeline}</h1>
      <Standing campaign={campaign} />
      <p>
        {id} · <a href="/campaigns">All campaigns</a>
        {workflow !== null && (
          <>
            {' · '}
            <a href={workflow}>In Temporal</a>
          </>
        )}
      </p>
      <StopRules campaign={campaign} nowMs={Date.now()} />
      <h2>Learning curve</h2>
      <LearningCurve {...campaign} />
      {campaign.rounds.length === 0 && (
        <p>The first round has not begun: its batch appears here, and on the labeling page.</p>
      )}
      <Rounds {...campaign} />
      <LabelSources {...campaign} />
      <AutoBatches auto={campaign.auto} rules={campaign.settings.auto ?? null} />
      <h2>How it was begun</h2>
      <Settings campaign={campaign} />
      {people === null ? <p class="soft">How people do is for reviewers.</p> : <People people={people} />}
      {reader.operator && <DecisionForm id={id} status={campaign.status} known={reader.name} />}
    </>,
  );
}

/** The form that begins a campaign. */
export async function newCampaignPage(db: Db, reader: Reader | null) {
  const frame = frameOf('New campaign', reader);
  if (reader === null) return layout(frame, <SignIn />);
  const { items } = await listPipelines(db, reader.project, { limit: 200, cursor: null });
  return layout(
    frame,
    <>
      <h1>Begin a campaign</h1>
      <noscript>
        <p>This form needs JavaScript, from this server only. POST /api/v1/campaigns does the same.</p>
      </noscript>
      <NewCampaign pipelines={items.map(({ name }) => name)} reader={reader} />
    </>,
  );
}

function NewCampaign({ pipelines, reader }: { pipelines: string[]; reader: Reader }) {
  if (!reader.operator) return <p>Only operators begin campaigns.</p>;
  if (pipelines.length === 0) return <p>There is no pipeline yet: post one first.</p>;
  return <BeginForm pipelines={pipelines} known={reader.name} />;
}

// The forms of campaigns: to begin one, and to stop, pause or resume it. The client's script sends them as JSON and puts what
// the API finds wrong at the field of that path.
import type { Child } from 'hono/jsx';
import type { CampaignStatus } from '../../domain/campaign.js';
import { strategies } from '../../domain/labeling.js';

interface FieldProps {
  /** The path of the value in the body. */
  name: string;
  label: string;
  hint?: string;
  children: (described: { id: string; name: string; 'aria-describedby': string }) => Child;
}

/** A labelled field, its hint, and a place for what is wrong with it. */
function Field({ name, label, hint, children }: FieldProps) {
  const id = `field-${name.replaceAll('.', '-')}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, name, 'aria-describedby': `${id}-hint ${id}-problem` })}
      <p id={`${id}-hint`} class="soft">
        {hint}
      </p>
      <p id={`${id}-problem`} class="problem" data-problem={name} data-keep=""></p>
    </div>
  );
}

interface TextProps extends Omit<FieldProps, 'children'> {
  value?: string;
  numeric?: boolean;
}

function Text({ value, numeric, ...field }: TextProps) {
  return (
    <Field {...field}>
      {(described) => (
        <input
          {...described}
          type="text"
          value={value}
          inputmode={numeric ? 'decimal' : undefined}
          data-number={numeric ? '' : undefined}
          autocomplete="off"
        />
      )}
    </Field>
  );
}

/** Who acts, where no token says it. */
export function By({ known }: { known: string | null }) {
  if (known !== null) return null;
  return (
    <Field name="by" label="Your name" hint="It stands beside what you do.">
      {(described) => <input {...described} type="text" maxlength={200} autocomplete="name" data-who="" />}
    </Field>
  );
}

/** What is wrong and belongs to no field. */
function Summary() {
  return <p class="problem" role="alert" data-summary="" data-keep=""></p>;
}

function Strategy({ name, label, hint, none }: { name: string; label: string; hint: string; none?: string }) {
  return (
    <Field name={name} label={label} hint={hint}>
      {(described) => (
        <select {...described}>
          {none !== undefined && <option value="">{none}</option>}
          {strategies.map((one) => (
            <option value={one} selected={none === undefined && one === 'margin'}>
              {one}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function StopFields() {
  return (
    <fieldset>
      <legend>It stops by the first of these; one is needed</legend>
      <p class="problem" data-problem="stop" data-keep=""></p>
      <Text name="stop.labels" label="Labels by people" hint="Over all rounds, such as 600." numeric />
      <Text name="stop.deadline" label="Deadline" hint="A duration from now, such as 14 days, or a moment." />
      <Text
        name="stop.target"
        label="Accuracy"
        hint="0 to 1: the lower end of its 95 % interval on the holdout is at least this."
        numeric
      />
      <Text
        name="stop.plateau.rounds"
        label="Rounds in a row that are not better"
        hint="By a paired test at 0.05."
        numeric
      />
      <Text name="stop.plateau.margin" label="Better means by more than" hint="0 to 1, 0 if left empty." numeric />
    </fieldset>
  );
}

function AutoFields() {
  return (
    <fieldset>
      <legend>Labels without people</legend>
      <p class="problem" data-problem="auto" data-keep=""></p>
      <p>
        <input type="checkbox" id="field-auto" name="auto" />{' '}
        <label for="field-auto">The model labels what items drawn by chance vouch for</label>
      </p>
      <Text
        name="auto.maxError"
        label="Share of them that may be wrong"
        hint="Above 0, below 0.5."
        value="0.05"
        numeric
      />
      <Text name="auto.confidence" label="Confidence" hint="Of that promise, 0.5 to 1." value="0.95" numeric />
      <Text
        name="auto.auditShare"
        label="Share of them that people check"
        hint="Unknowingly, among their other items."
        value="0.05"
        numeric
      />
    </fieldset>
  );
}

/** Begins a campaign of one of these pipelines. `known`: who acts, by the token; null: the form asks. */
export function BeginForm({ pipelines, known }: { pipelines: string[]; known: string | null }) {
  return (
    <form id="begin" novalidate>
      <Summary />
      <Field name="pipeline" label="Pipeline">
        {(described) => (
          <select {...described}>
            {pipelines.map((name) => (
              <option value={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Strategy name="strategy" label="Strategy" hint="Which items people are asked about." />
      <Strategy name="strategyThen" label="From the second round on" hint="" none="the same" />
      <Text name="batchSize" label="Items a round" hint="1 to 10,000." value="60" numeric />
      <Text
        name="explore"
        label="Share drawn by chance"
        hint="0 to 1: these items keep what is measured honest."
        value="0.1"
        numeric
      />
      <StopFields />
      <AutoFields />
      <By known={known} />
      <div class="buttons">
        <button type="submit" class="main">
          Begin the campaign
        </button>
      </div>
    </form>
  );
}

/** Stops, pauses or resumes; nothing is to be decided about one that stopped. */
export function DecisionForm({ id, status, known }: { id: string; status: CampaignStatus; known: string | null }) {
  return (
    <form id="decide" class="panel" data-campaign={id} novalidate hidden={status === 'stopped'}>
      <h2>Decide</h2>
      <Summary />
      <By known={known} />
      <Field name="reason" label="Reason" hint="May stay empty. Everybody who sees the campaign reads it.">
        {(described) => <input {...described} type="text" maxlength={2_000} autocomplete="off" />}
      </Field>
      <div class="buttons">
        <button type="submit" name="decision" value="pause" hidden={status !== 'running'}>
          Pause
        </button>
        <button type="submit" name="decision" value="resume" class="main" hidden={status !== 'paused'}>
          Resume
        </button>
        <button type="submit" name="decision" value="stop">
          Stop for good
        </button>
      </div>
      <p class="soft">A round that lives goes on as a run of its own, whatever is decided.</p>
      <p role="status" tabindex={-1} data-said="" data-keep=""></p>
    </form>
  );
}

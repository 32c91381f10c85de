// The one catalogue of failures: its API code, its HTTP status, whether trying again helps. docs/errors.md explains each.
// Two families: `request` (what was asked is wrong) and `world` (what was asked is right, the world is late).

export interface FailureEntry {
  family: 'request' | 'world';
  /** `never`: the same input fails again; `retry`: an activity that throws it is tried again. */
  retry: 'never' | 'retry';
  status: number;
  title: string;
}

export const failures = {
  // requests
  InvalidRequest: { family: 'request', retry: 'never', status: 422, title: 'The request is not valid' },
  InvalidPipeline: { family: 'request', retry: 'never', status: 422, title: 'The pipeline document is not valid' },
  IdempotencyKeyReused: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'This idempotency key was used with another body',
  },
  NotFound: { family: 'request', retry: 'never', status: 404, title: 'There is nothing of that name' },
  MethodNotAllowed: { family: 'request', retry: 'never', status: 405, title: 'This address does not take that method' },
  Unauthenticated: { family: 'request', retry: 'never', status: 401, title: 'A valid token is needed' },
  Forbidden: { family: 'request', retry: 'never', status: 403, title: 'The role of this token does not allow that' },
  NotYou: { family: 'request', retry: 'never', status: 403, title: 'You can act only in your own name' },
  ForeignHost: {
    family: 'request',
    retry: 'never',
    status: 421,
    title: 'This server does not answer under that host name',
  },
  ForeignOrigin: { family: 'request', retry: 'never', status: 403, title: 'Pages of another origin may not call this' },
  TooLarge: { family: 'request', retry: 'never', status: 413, title: 'The body is larger than allowed' },
  UnsupportedMediaType: {
    family: 'request',
    retry: 'never',
    status: 415,
    title: 'That content type is not understood here',
  },
  RunLive: { family: 'request', retry: 'never', status: 409, title: 'Another run of this pipeline is alive' },
  CampaignLive: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'Another campaign of this pipeline is alive',
  },
  RunEnded: { family: 'request', retry: 'never', status: 409, title: 'This run has ended' },
  RerunImpossible: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'This run cannot be run again',
  },
  BatchClosed: { family: 'request', retry: 'never', status: 409, title: 'This label batch takes no more answers' },
  BatchIncomplete: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'This label batch has tasks without an answer',
  },
  ReviewIncomplete: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'This label batch has labels that a reviewer must look at first',
  },
  LabelerPaused: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'This labeler is paused in this label batch',
  },
  LabelerUnfit: {
    family: 'request',
    retry: 'never',
    status: 403,
    title: 'This label batch asks for skills that the labeler does not have',
  },
  StaleCandidate: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'The decision names another candidate than the one that waits',
  },
  AlreadyDecided: { family: 'request', retry: 'never', status: 409, title: 'This was decided already' },
  NothingToRollBackTo: {
    family: 'request',
    retry: 'never',
    status: 409,
    title: 'There is no earlier champion to go back to',
  },
  NoChampion: { family: 'request', retry: 'never', status: 409, title: 'This model has no champion yet' },
  // data
  DatasetEmpty: { family: 'request', retry: 'never', status: 422, title: 'The dataset has no rows' },
  DuplicateKeys: { family: 'request', retry: 'never', status: 422, title: 'Rows share a key' },
  KeyColumnMissing: { family: 'request', retry: 'never', status: 422, title: 'The key column is not in the data' },
  LabelColumnMissing: { family: 'request', retry: 'never', status: 422, title: 'The label column is not in the data' },
  OneClass: { family: 'request', retry: 'never', status: 422, title: 'The labels have fewer than two classes' },
  NoLabels: { family: 'request', retry: 'never', status: 422, title: 'Too few labelled rows to train and to judge' },
  RowsUnknown: { family: 'request', retry: 'never', status: 422, title: 'A named row is not in the dataset' },
  WrongFormat: { family: 'request', retry: 'never', status: 422, title: 'The content is not of the format it says' },
  TooManyColumns: { family: 'request', retry: 'never', status: 422, title: 'The data has more columns than allowed' },
  SourceNotFound: { family: 'request', retry: 'never', status: 422, title: 'The source has no such file' },
  SourceNotAllowed: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The source lies outside the allowed folder',
  },
  SchemaMismatch: { family: 'request', retry: 'never', status: 422, title: 'A column is missing or has another type' },
  QuarantineExceeded: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'More rows are bad than the pipeline tolerates',
  },
  ExpectationFailed: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The data as a whole breaks an expectation',
  },
  FeaturesUnfit: { family: 'request', retry: 'never', status: 422, title: 'The processed data is not fit to train on' },
  // training and models
  TrainingDiverged: { family: 'request', retry: 'never', status: 422, title: 'The loss is no longer a number' },
  ModelTooLarge: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The model does not fit into the memory limit',
  },
  ModelInvalid: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The packaged model does not give the answers it should',
  },
  CheckpointMismatch: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The checkpoint belongs to other inputs',
  },
  ChampionMoved: { family: 'world', retry: 'never', status: 409, title: 'The champion changed meanwhile' },
  // programs that train or check
  CodeRefused: { family: 'request', retry: 'never', status: 422, title: 'The code directory cannot be taken' },
  EnvironmentInvalid: { family: 'request', retry: 'never', status: 422, title: 'The lock file is not complete' },
  EnvironmentFailed: { family: 'world', retry: 'retry', status: 503, title: 'The environment could not be made' },
  ContainerUnavailable: { family: 'world', retry: 'never', status: 503, title: 'There is no container runtime here' },
  CommandFailed: { family: 'request', retry: 'never', status: 422, title: 'The program ended with an error' },
  CommandTimedOut: { family: 'request', retry: 'never', status: 422, title: 'The program ran past its deadline' },
  CommandMemoryExceeded: { family: 'request', retry: 'never', status: 422, title: 'The program used too much memory' },
  CommandDiskExceeded: { family: 'request', retry: 'never', status: 422, title: 'The program wrote too much' },
  CommandForked: { family: 'request', retry: 'never', status: 422, title: 'The program started too many processes' },
  CommandLeftProcesses: { family: 'request', retry: 'never', status: 422, title: 'The program left processes behind' },
  CommandPrintedSecret: { family: 'request', retry: 'never', status: 422, title: 'The program printed a secret' },
  CommandNoModel: { family: 'request', retry: 'never', status: 422, title: 'The program left no model' },
  CommandNoVerdict: { family: 'request', retry: 'never', status: 422, title: 'The program left no verdict' },
  CommandVerdictInvalid: { family: 'request', retry: 'never', status: 422, title: 'The program’s verdict is none' },
  CommandModelBroken: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model does not load or run',
  },
  CommandModelExternal: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model is not one file',
  },
  CommandModelOpset: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model is of an old opset',
  },
  CommandModelInputs: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model takes other inputs',
  },
  CommandModelOutputs: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model gives other outputs',
  },
  CommandModelNotFinite: {
    family: 'request',
    retry: 'never',
    status: 422,
    title: 'The program’s model answers with no finite number',
  },
  // the world
  OutOfMemory: { family: 'world', retry: 'retry', status: 503, title: 'A process ran out of memory' },
  ChildDied: { family: 'world', retry: 'retry', status: 503, title: 'A child process ended before its work was done' },
  DeadlineExceeded: { family: 'world', retry: 'retry', status: 504, title: 'The work took longer than allowed' },
  WorkerShutdown: {
    family: 'world',
    retry: 'retry',
    status: 503,
    title: 'The worker is shutting down; the work goes on elsewhere',
  },
  ArtifactCorrupt: {
    family: 'world',
    retry: 'retry',
    status: 500,
    title: 'Stored bytes do not have the sha256 they should',
  },
  ModelBroken: {
    family: 'world',
    retry: 'never',
    status: 500,
    title: 'The model gives other answers here than when it was packaged',
  },
  DiskFull: { family: 'world', retry: 'retry', status: 507, title: 'The disk of the worker has no space left' },
  StoreFull: { family: 'world', retry: 'retry', status: 507, title: 'The artifact store has no space left' },
  Unavailable: { family: 'world', retry: 'retry', status: 503, title: 'A service behind this one does not answer' },
  Superseded: { family: 'world', retry: 'never', status: 409, title: 'A newer attempt has taken over this step' },
  WorkflowLost: { family: 'world', retry: 'never', status: 500, title: 'The workflow is gone from Temporal' },
  Internal: { family: 'world', retry: 'retry', status: 500, title: 'Something went wrong here' },
} as const satisfies Record<string, FailureEntry>;

export type FailureName = keyof typeof failures;

/** `RunLive` -> `run-live`, as in `/problems/run-live` and `failure.type`. */
export function failureCode(name: FailureName): string {
  return name.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase();
}

export interface FieldFault {
  path: string;
  message: string;
}

/** A failure of the catalogue, thrown by adapters, db and activities; each border renders it in its own way. */
export class Failure extends Error {
  readonly failure: FailureName;
  /** Extra members of the problem document, such as `run` of `run-live`. */
  readonly members: Record<string, unknown>;
  readonly faults: FieldFault[];

  constructor(
    failure: FailureName,
    detail: string,
    options: { members?: Record<string, unknown>; faults?: FieldFault[]; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.failure = failure;
    this.members = options.members ?? {};
    this.faults = options.faults ?? [];
  }
}

/** Whether a write was refused for want of space, as the system or DuckDB says it. EFBIG: more than a file may take. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String(code)) || /no space left on device/i.test(error.message);
}

export function isFailureName(name: unknown): name is FailureName {
  return typeof name === 'string' && Object.hasOwn(failures, name);
}

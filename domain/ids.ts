// Workflow and schedule ids: readable in Temporal's UI, and the lock against two of a kind.

export const workflowIds = {
  loop: (project: string, pipeline: string) => `loop/${project}/${pipeline}`,
  run: (project: string, pipeline: string, number: number) => `run/${project}/${pipeline}/${number}`,
  labels: (project: string, batch: string) => `labels/${project}/${batch}`,
  campaign: (project: string, campaign: string) => `labels/${project}/campaign/${campaign}`,
  trigger: (project: string, pipeline: string) => `trigger/${project}/${pipeline}`,
} as const;

/** Search attributes, all keywords (architecture: Workflows). */
export const searchAttributes = [
  'PerennialProject',
  'PerennialPipeline',
  'PerennialKind',
  'PerennialStage',
  'PerennialVerdict',
  'PerennialModel',
  'PerennialTrigger',
] as const;
export type SearchAttribute = (typeof searchAttributes)[number];

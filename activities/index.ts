// The types under which workflows call activities. `flow` activities are called by name; steps go through the plan.
import type { createApprovalActivities } from './approval.js';
import type { createCampaignActivities } from './campaign.js';
import type { createLabelingDecisions } from './labeling/decisions.js';
import type { createPipelineActivities } from './pipeline.js';
import type { createRunActivities } from './run.js';

export type FlowActivities = ReturnType<typeof createRunActivities> &
  ReturnType<typeof createPipelineActivities> &
  ReturnType<typeof createApprovalActivities> &
  ReturnType<typeof createLabelingDecisions> &
  ReturnType<typeof createCampaignActivities>;

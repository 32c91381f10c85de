// Every workflow type of the product; the worker bundles this file. Nothing but workflows may be exported here.
export { labelCampaign } from './campaign.js';
export { labelBatch } from './labeling.js';
export { pipelineLoop, tick } from './pipeline.js';
export { trainingRun } from './run.js';

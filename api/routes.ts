// All operations of the API in one list: what the router, the method check and the OpenAPI document are made of.
import { approvalEndpoints } from './approval.js';
import { artifactEndpoints } from './artifact.js';
import { auditEndpoints } from './audit.js';
import { campaignEndpoints } from './campaign.js';
import { codeEndpoints } from './code.js';
import { datasetEndpoints } from './dataset.js';
import type { Endpoint } from './endpoint.js';
import { inferenceEndpoints } from './inference.js';
import { labelerEndpoints } from './labeler.js';
import { labelExportEndpoints } from './label-export.js';
import { labelImportEndpoints } from './label-import.js';
import { labelOpenEndpoints } from './label-open.js';
import { labelTaskEndpoints } from './label-task.js';
import { labelingEndpoints } from './labeling.js';
import { createMetrics, type Metrics } from './middleware/metrics.js';
import { modelEndpoints } from './model.js';
import { pipelineEndpoints } from './pipeline.js';
import { createPredictor } from './predictor.js';
import { runEndpoints } from './run.js';
import { runEventsEndpoint } from './run-events.js';
import { runOpenEndpoints } from './run-open.js';
import { tokenEndpoints } from './token.js';
import { trainerEndpoints } from './trainer.js';
import { wrongEndpoint } from './wrong.js';

export function allEndpoints(metrics: Metrics = createMetrics()): Endpoint[] {
  const predictor = createPredictor(metrics);
  return [
    ...pipelineEndpoints(),
    ...runOpenEndpoints(),
    ...runEndpoints(),
    runEventsEndpoint(),
    wrongEndpoint(),
    ...codeEndpoints(),
    ...datasetEndpoints(),
    ...labelingEndpoints(),
    ...labelOpenEndpoints(),
    ...labelImportEndpoints(),
    ...labelExportEndpoints(),
    ...labelTaskEndpoints(),
    ...labelerEndpoints(),
    ...campaignEndpoints(),
    ...approvalEndpoints(),
    ...modelEndpoints(predictor),
    ...artifactEndpoints(),
    ...auditEndpoints(),
    ...trainerEndpoints(),
    ...tokenEndpoints(),
    ...inferenceEndpoints(predictor),
  ];
}

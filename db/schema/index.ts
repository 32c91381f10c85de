// All tables: what migrations are made from.
export * from './approval.js';
export * from './artifact.js';
export * from './auto.js';
export * from './campaign.js';
export * from './dataset.js';
export * from './labeling.js';
export * from './model.js';
export * from './outbox.js';
export * from './pipeline.js';
export * from './project.js';
export * from './result.js';
export * from './run.js';

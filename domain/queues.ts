// Task queues: one per pool of workers (architecture: Queues and pools).

export const queues = ['flow', 'cpu', 'gpu'] as const;
export type Queue = (typeof queues)[number];

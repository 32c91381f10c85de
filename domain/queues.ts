// Task queues: one per pool of workers (DESIGN §6).

export const queues = ['flow', 'cpu', 'gpu'] as const;
export type Queue = (typeof queues)[number];

// What the loop is told. Every payload is an absolute position: a repeat or a reordering changes nothing.
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { LoopState } from '../domain/loop.js';

export interface LoopInput {
  project: string;
  pipeline: string;
  /** Carried over continue-as-new; made anew from Postgres when absent. */
  state?: LoopState;
}

export const rowsArrived = defineSignal<[{ ingest: number; acceptedRows: number }]>('rowsArrived');
export const trigger = defineSignal<[{ kind: 'schedule'; due: string }]>('trigger');
export const pipelineChanged = defineSignal<[{ version: number; paused: boolean }]>('pipelineChanged');
export const runEnded = defineSignal<[{ run: string; number: number; status: string }]>('runEnded');
export const loopState = defineQuery<LoopState>('loopState');

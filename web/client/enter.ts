// How a page of one batch begins: somebody says who they are, and the batch is there.
import { call, Refused } from './api.js';
import { h, put } from './dom.js';
import { ask, forget, who, type Who } from './session.js';
import type { Batch } from './types.js';

export const app = document.querySelector('#app') as HTMLElement;
export const batchId = app.dataset['batch'] ?? '';

/** Who works here, and the batch: asked again for as long as the token is not taken or nobody answers. @throws Refused */
export async function enter(): Promise<{ person: Who; batch: Batch }> {
  let why = '';
  for (;;) {
    const person = who() ?? (await ask(app, why));
    try {
      return { person, batch: await call<Batch>('GET', `/api/v1/label-batches/${batchId}`) };
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        forget();
        why = 'This token is not valid.';
      } else if (error instanceof Refused) {
        throw error;
      } else {
        put(app, h('h1', {}, 'Labeling'), h('p', { role: 'status' }, 'The server does not answer. Trying again.'));
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  }
}

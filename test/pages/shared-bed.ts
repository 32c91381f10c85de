// One server and one browser for the tests of all pages that people work on: each of them costs seconds.
import { afterAll, beforeAll } from 'vitest';
import { labelingBed, type LabelingBed } from './labeling-bed.js';

/** There from the first test on. */
export let bed: LabelingBed;

beforeAll(async () => {
  bed = await labelingBed();
});
afterAll(() => bed?.close());

// Parts of a plan: a run that ends early (`until`), and a run again of another run's data (`from`).
import type { FieldFault } from './failures.js';
import { canonicalJson, type Json } from './json.js';
import { nearestWord } from './nearest.js';
import type { PipelineDocument } from './pipeline.js';
import type { Plan, PlanNode } from './plan.js';
import { orderPlan } from './plan-run.js';
import { isPureStep, stepReads } from './reuse.js';
import { stepNames } from './run.js';

/** Steps that a run again never repeats: it reads no new rows and asks nobody for labels. */
export const dataSteps = ['extract', 'validate', 'label'] as const;
/** Steps that a run again may begin with; the later ones are decisions about a version that belongs to its run. */
const beginnings = ['split', 'featurize', 'train', 'package', 'evaluate', 'register'];

/** Nodes of the step or the node of that name. */
function nodesNamed(plan: Plan, name: string): PlanNode[] {
  const step = (stepNames as readonly string[]).includes(name);
  return plan.filter((node) => node.name === name || (step && node.name.replace(/-\d+$/, '') === name));
}

function allowedNames(plan: Plan, steps: readonly string[]): string[] {
  const names = plan.map(({ name }) => name).filter((name) => steps.includes(name.replace(/-\d+$/, '')));
  return [...new Set([...steps.filter((step) => nodesNamed(plan, step).length > 0), ...names])];
}

/** The fault of a step that was asked for under `path`, or null. */
function stepFault(plan: Plan, path: string, asked: unknown, steps: readonly string[]): FieldFault | null {
  const allowed = allowedNames(plan, steps);
  if (typeof asked === 'string' && allowed.includes(asked)) return null;
  const nearest = typeof asked === 'string' ? nearestWord(asked, allowed) : null;
  const hint = nearest ? `; did you mean ${nearest}?` : '';
  return { path, message: `found ${JSON.stringify(asked)}, allowed: ${allowed.join(', ')}${hint}` };
}

export const untilFault = (plan: Plan, until: unknown): FieldFault | null => stepFault(plan, 'until', until, stepNames);
export const fromFault = (plan: Plan, from: unknown): FieldFault | null => stepFault(plan, 'from', from, beginnings);

/** `names` and everything that they need, directly or not. */
function withAncestors(plan: Plan, names: string[]): Set<string> {
  const found = new Set(names);
  for (const node of orderPlan(plan).reverse()) {
    if (found.has(node.name)) for (const before of node.after) found.add(before);
  }
  return found;
}

/** `names` and everything that needs them, directly or not. */
function withDescendants(plan: Plan, names: string[]): Set<string> {
  const found = new Set(names);
  for (const node of orderPlan(plan)) if (node.after.some((before) => found.has(before))) found.add(node.name);
  return found;
}

/** The plan up to the named step and what it needs; null: all of it. */
export function cutPlan(plan: Plan, until: string | null): Plan {
  if (until === null) return plan;
  const kept = withAncestors(
    plan,
    nodesNamed(plan, until).map(({ name }) => name),
  );
  return plan.filter(({ name }) => kept.has(name));
}

/** What a run again takes over from the run before. */
export interface TakeOver {
  /** Must have succeeded there. */
  must: PlanNode[];
  /** Taken over where they did and their bytes are still there; else executed. */
  may: PlanNode[];
}

/**
 * The data steps always; with `from` also every node that the named ones need, and those beside them. `profile` decides
 * nothing that follows, so it may be made again.
 */
export function takeOver(plan: Plan, from: string | null): TakeOver {
  const nodes = plan.filter(({ when }) => when);
  const isData = ({ name }: PlanNode) => (dataSteps as readonly string[]).includes(name);
  if (from === null) return { must: nodes.filter(isData), may: [] };
  const first = nodesNamed(plan, from).map(({ name }) => name);
  const [needed, later] = [withAncestors(plan, first), withDescendants(plan, first)];
  const before = nodes.filter((node) => isData(node) || !later.has(node.name));
  const must = before.filter((node) => isData(node) || (needed.has(node.name) && node.name !== 'profile'));
  return { must, may: before.filter((node) => !must.includes(node)) };
}

/** Parts of a document that the data steps depend on and an override may name. */
const dataParts: [string, (document: PipelineDocument) => unknown][] = [
  ['expectations', ({ expectations }) => expectations],
  ['quarantine', ({ quarantine }) => quarantine],
  ['labeling', ({ labeling }) => labeling],
  ['features', ({ features }) => features.types],
];

const differs = (a: unknown, b: unknown) => canonicalJson(a ?? null) !== canonicalJson(b ?? null);

/** Fields of the document by the word that overrides name them with. */
const wordOf = (part: string): string => (part === 'trainers' ? 'trainer' : part);

/** The parts that `node` reads and that are not the same in both documents. */
function changedParts(node: PlanNode, before: PipelineDocument, after: PipelineDocument): string[] {
  if (!isPureStep(node.activity) || node.activity === 'profile') return [];
  const { document, trainer } = stepReads[node.activity];
  const parts = document.filter((part) => differs(before[part], after[part]));
  const trained = trainer && differs(before.trainers[node.candidate], after.trainers[node.candidate]);
  return [...parts.map(wordOf), ...(trained ? ['trainer'] : [])];
}

/** Overrides that would have no effect, since what reads them is taken over. */
export function overrideFaults(
  taken: PlanNode[],
  documents: { before: PipelineDocument; after: PipelineDocument },
  overrides: Record<string, Json>,
): FieldFault[] {
  const { before, after } = documents;
  const faults = new Map<string, FieldFault>();
  const add = (part: string, message: string) => {
    const key = Object.keys(overrides).find((one) => one.split(/[.[]/)[0] === part);
    const path = key === undefined ? part : `overrides.${key}`;
    if (!faults.has(path)) faults.set(path, { path, message });
  };
  for (const [part, read] of dataParts) {
    if (!differs(read(before), read(after))) continue;
    add(part, 'changes what extract, validate or label read, which a run again takes over: start a new run');
  }
  for (const node of taken) {
    for (const part of changedParts(node, before, after)) {
      add(part, `changes what ${node.name} reads, which is taken over: begin with ${node.name} or before it`);
    }
  }
  return [...faults.values()];
}

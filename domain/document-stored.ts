// Documents as older software stored them. A field that was added since is missing there, and takes the value that today's
// reader gives it for the very same source; what was stored stands, whatever a default may be today.
import { applyOverrides } from './document.js';
import { isRecord } from './fields.js';
import type { Json } from './json.js';
import type { PipelineDocument } from './pipeline.js';

export interface StoredDocument {
  /** As parsed when it was stored. */
  document: PipelineDocument;
  /** As sent by a person. */
  source: Json;
  overrides?: Record<string, Json>;
}

/** `stored`, with what only `fresh` has. Lists of another length have nothing in common. */
function filled(stored: unknown, fresh: unknown): unknown {
  if (stored === undefined) return fresh;
  if (Array.isArray(stored) && Array.isArray(fresh) && stored.length === fresh.length) {
    return stored.map((item, index) => filled(item, fresh[index]));
  }
  if (!isRecord(stored) || !isRecord(fresh)) return stored;
  const own = (value: Record<string, unknown>, name: string) => (Object.hasOwn(value, name) ? value[name] : undefined);
  const names = new Set([...Object.keys(stored), ...Object.keys(fresh)]);
  return Object.fromEntries([...names].map((name) => [name, filled(own(stored, name), own(fresh, name))]));
}

/** The stored document in today's shape; as it is where today's reader would refuse its source. */
export function todaysDocument({ document, source, overrides = {} }: StoredDocument): PipelineDocument {
  const read = applyOverrides(source, overrides);
  return 'document' in read ? (filled(document, read.document) as PipelineDocument) : document;
}

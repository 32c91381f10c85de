// Bytes by name: an artifact is known by the sha256 of its content and by nothing else.

export type Digest = `sha256:${string}`;

export interface ArtifactRef {
  digest: Digest;
  sizeBytes: number;
  mediaType: string;
}

export const mediaTypes = {
  parquet: 'application/vnd.apache.parquet',
  json: 'application/json',
  html: 'text/html; charset=utf-8',
  onnx: 'application/onnx',
  binary: 'application/octet-stream',
  markdown: 'text/markdown; charset=utf-8',
  tar: 'application/x-tar',
} as const;

export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value);
}

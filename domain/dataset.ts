// Words about data: what a column is, what a schema is, what a profile says.
import type { Digest } from './artifact.js';

export const tasks = ['classification', 'regression'] as const;
export type Task = (typeof tasks)[number];

/** `number`: float; `category`: a string with a fitted vocabulary; `date`: ISO 8601 date or time, becomes parts; `text`: words. */
export const columnTypes = ['number', 'category', 'date', 'text'] as const;
export type ColumnType = (typeof columnTypes)[number];

export interface Column {
  name: string;
  type: ColumnType;
}

/** The key and the label are named apart; `columns` holds all others, in the order of the first version. */
export interface Schema {
  key: string;
  label: string;
  task: Task;
  columns: Column[];
}

export const formats = ['csv', 'jsonl', 'parquet'] as const;
export type Format = (typeof formats)[number];

/** How far the sources of a dataset have been read: absolute positions only. */
export interface Watermark {
  /** Number of the last pushed ingest that was read. */
  ingest: number;
  /** Source files by path, with the sha256 of the content that was read. */
  files: { path: string; digest: Digest }[];
}

export const splitParts = ['train', 'validation', 'holdout'] as const;
export type SplitPart = (typeof splitParts)[number];

export const labelSources = ['given', 'human', 'truth', 'auto', 'pseudo'] as const;
export type LabelSource = (typeof labelSources)[number];

/** Of a dataset version: labels in it were withdrawn. */
export interface Superseded {
  /** ISO time. */
  at: string;
  reason: string;
  autoBatch: string;
  campaign: string;
}

/** Where the label of a row comes from: one row of a version's `sources`. */
export interface LabelProvenance {
  key: string;
  source: LabelSource;
  /** The model's, of a label that it made; null: unknown. */
  confidence: number | null;
  /** How much the row counts in training. */
  weight: number;
}

export interface ColumnProfile {
  name: string;
  type: ColumnType;
  count: number;
  missing: number;
  distinct: number;
  /** Numbers and dates (dates as ISO text). */
  min?: number | string;
  max?: number | string;
  mean?: number;
  sd?: number;
  quantiles?: number[];
  /** Numbers: equal-width bins, `edges` has one more entry than `counts`. */
  histogram?: { edges: number[]; counts: number[] };
  /** Categories: the most frequent values. */
  top?: { value: string; count: number }[];
}

export interface Profile {
  rows: number;
  columns: ColumnProfile[];
  label: ColumnProfile;
}

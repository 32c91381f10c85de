// The binned matrix: four codes in a 32-bit word, in blocks of rows, one group of four features after the other in a block.
// In memory up to a fixed size, else in a file without a name that is gone with the process. Both give the same words.
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Rows } from '../trainers/trainer.js';
import type { Arena } from './kernel.js';
import { arenaBytes, plainArena } from './kernel.js';
import type { Bins } from './bins.js';
import { categoryCode, numberCode } from './bins.js';

export interface BinnedMatrix {
  readonly rows: number;
  readonly width: number;
  /** Features divided by four, rounded up; the last group is filled with code 0. */
  readonly groups: number;
  /** Rows of every block but the last. */
  readonly blockRows: number;
  readonly blocks: number;
  /** Words of a block: groups x its rows. Good until the next call. */
  block(index: number): Int32Array;
  /** One group's words of a block. Good until the next call. */
  column(index: number, group: number): Int32Array;
  close(): void;
}

/** Words beyond this lie in a file: 128 MiB. A constant, since the machine's memory may not decide anything. */
export const memoryWords = 2 ** 25;
/** Floats read in one piece: 16 MiB. */
const pieceNumbers = 2 ** 22;
const [leastBlockRows, mostBlockRows] = [1_024, 16_384];
/** Rows whose codes are found together: their floats stay in the cache while the features pass. */
const tileRows = 128;

/** Rows of a block: a power of two that depends on the width alone. */
export function blockRowsOf(width: number): number {
  const fit = 2 ** Math.floor(Math.log2(pieceNumbers / width));
  return Math.min(mostBlockRows, Math.max(leastBlockRows, fit));
}

/** Rows of block `index`. */
export function rowsOfBlock(matrix: Pick<BinnedMatrix, 'rows' | 'blockRows'>, index: number): number {
  return Math.min(matrix.blockRows, matrix.rows - index * matrix.blockRows);
}

interface Tile {
  x: Float32Array;
  from: number;
  to: number;
  /** Rows of the block. */
  rows: number;
  words: Int32Array;
}

/** Cells of the grid that a search begins with. */
const gridCells = 256;

/** Between which edges to look for a value: an even grid from the first edge to the last, kept apart for each column of numbers. */
interface Grid {
  from: number;
  /** Cells per unit; not finite where a grid is of no use. */
  scale: number;
  /** Edges in lower cells, per cell and one more. A value's cell rises with it, so these edges are surely below it. */
  below: Uint8Array;
}

const cellOf = ({ from, scale }: Grid, value: number): number =>
  Math.max(0, Math.min(gridCells - 1, Math.floor((value - from) * scale)));

function gridOf(edges: Float32Array): Grid {
  const from = edges[0] ?? 0;
  const scale = gridCells / ((edges[edges.length - 1] ?? 0) - from);
  const grid = { from, scale, below: new Uint8Array(gridCells + 1) };
  if (!Number.isFinite(scale)) return grid;
  for (const edge of edges) grid.below[cellOf(grid, edge) + 1]! += 1;
  for (let cell = 0; cell < gridCells; cell++) grid.below[cell + 1]! += grid.below[cell]!;
  return grid;
}

/** Puts the codes of one feature into the words of rows from `from` to `to` (exclusive). */
function codeFeature(bins: Bins, feature: number, { x, from, to, rows, words }: Tile, grid: Grid): void {
  const { width, edges } = bins;
  const guided = bins.categorical[feature] !== 1 && Number.isFinite(grid.scale);
  const [first, end] = [bins.start[feature]!, bins.start[feature + 1]!];
  const code = bins.categorical[feature] === 1 ? categoryCode : numberCode;
  const missing = end - first + 1;
  const shift = (feature & 3) * 8;
  const base = (feature >> 2) * rows;
  for (let row = from; row < to; row++) {
    const value = x[row * width + feature]!;
    let place = missing;
    if (guided && value === value) {
      const cell = cellOf(grid, value);
      const low = grid.below[cell]!;
      place = low + numberCode(edges, first + low, first + grid.below[cell + 1]!, value);
    } else if (value === value) place = code(edges, first, end, value);
    words[base + row]! |= place << shift;
  }
}

function codeBlock(
  bins: Bins,
  grids: Grid[],
  x: Float32Array,
  { rows, words }: { rows: number; words: Int32Array },
): void {
  words.fill(0);
  for (let from = 0; from < rows; from += tileRows) {
    const tile = { x, from, to: Math.min(rows, from + tileRows), rows, words };
    for (let feature = 0; feature < bins.width; feature++) codeFeature(bins, feature, tile, grids[feature]!);
  }
}

/** Where the words of the blocks are kept while they come in, and read from later. */
interface Keep {
  put(index: number, words: Int32Array): void;
  block(index: number): Int32Array;
  column(index: number, group: number): Int32Array;
  close(): void;
}

type Layout = Pick<BinnedMatrix, 'rows' | 'groups' | 'blockRows' | 'blocks'>;

function keepInMemory(layout: Layout, arena: Arena): Keep {
  const kept: Int32Array[] = [];
  return {
    put(index, words) {
      kept[index] = arena.ints(words.length);
      kept[index].set(words);
    },
    block: (index) => kept[index]!,
    column(index, group) {
      const rows = rowsOfBlock(layout, index);
      return kept[index]!.subarray(group * rows, (group + 1) * rows);
    },
    close: () => void (kept.length = 0),
  };
}

/** The file is unlinked while open: a killed process leaves nothing behind. */
function keepInFile(layout: Layout, folder: string, arena: Arena): Keep {
  const path = join(folder, 'bins.tmp');
  const file = openSync(path, 'w+', 0o600);
  unlinkSync(path);
  const buffer = arena.ints(layout.groups * layout.blockRows);
  const stride = buffer.byteLength;
  const read = (words: Int32Array, at: number): Int32Array => {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    for (let done = 0; done < bytes.length;) {
      const count = readSync(file, bytes, done, bytes.length - done, at + done);
      if (count === 0) throw new Failure('ArtifactCorrupt', 'the file of binned rows is shorter than it was written');
      done += count;
    }
    return words;
  };
  return {
    put(index, words) {
      const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      for (let done = 0; done < bytes.length;)
        done += writeSync(file, bytes, done, bytes.length - done, index * stride + done);
    },
    block: (index) => read(buffer.subarray(0, layout.groups * rowsOfBlock(layout, index)), index * stride),
    column(index, group) {
      const rows = rowsOfBlock(layout, index);
      return read(buffer.subarray(0, rows), index * stride + group * rows * 4);
    },
    close: () => closeSync(file),
  };
}

/** How the words of so many rows are laid out. */
function layoutOf(rows: number, width: number): Layout & { width: number } {
  const blockRows = Math.min(blockRowsOf(width), Math.max(1, rows));
  return { rows, width, groups: (width + 3) >> 2, blockRows, blocks: Math.ceil(rows / blockRows) };
}

export interface BinRowsOptions {
  /** A folder on local disk for what does not fit into memory. */
  folder: string;
  /** Most words kept in memory. */
  memoryWords?: number;
  /** Where words that are read lie. */
  arena?: Arena;
}

/** Bytes that the matrix of so many rows takes of its arena, and rows of one of its blocks. */
export function matrixSize(rows: number, width: number, most = memoryWords): { bytes: number; blockRows: number } {
  const { groups, blockRows, blocks } = layoutOf(rows, width);
  const inMemory = groups * rows <= most;
  const bytes = inMemory ? groups * rows * 4 + arenaBytes(1) * blocks : groups * blockRows * 4 + arenaBytes(1);
  return { bytes, blockRows };
}

/** Reads all rows once, block by block, and keeps their codes. Close it when done. */
export async function binRows(data: Rows, bins: Bins, options: BinRowsOptions): Promise<BinnedMatrix> {
  const layout = layoutOf(data.rows, data.width);
  const { groups, blockRows, blocks } = layout;
  const { arena = plainArena } = options;
  const inMemory = groups * data.rows <= (options.memoryWords ?? memoryWords);
  const keep = inMemory ? keepInMemory(layout, arena) : keepInFile(layout, options.folder, arena);
  const x = new Float32Array(blockRows * data.width);
  const words = new Int32Array(groups * blockRows);
  const grids = Array.from({ length: data.width }, (_, f) =>
    gridOf(bins.edges.subarray(bins.start[f], bins.start[f + 1])),
  );
  for (let index = 0; index < blocks; index++) {
    const count = rowsOfBlock(layout, index);
    await data.read(index * blockRows, count, x);
    const used = words.subarray(0, groups * count);
    codeBlock(bins, grids, x, { rows: count, words: used });
    keep.put(index, used);
  }
  return { ...layout, block: keep.block, column: keep.column, close: keep.close };
}

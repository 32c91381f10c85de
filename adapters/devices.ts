// Which accelerator this process may use: named in the settings, or found by nvidia-smi (a MIG slice counts as one).
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Config } from './config.js';

export interface FoundDevices {
  /** Values for CUDA_VISIBLE_DEVICES. */
  devices: string[];
  /** Why there are none, or where they are known from. */
  reason: string;
}

/** Devices by their order, MIG slices by their UUID. Never throws: no tool means no device. */
export async function findDevices(
  config: Pick<Config, 'gpu'>,
  visible = process.env['CUDA_VISIBLE_DEVICES'],
): Promise<FoundDevices> {
  if (config.gpu.devices) return { devices: config.gpu.devices, reason: 'named in PERENNIAL_GPU_DEVICES' };
  if (visible !== undefined) {
    return { devices: visible.split(',').filter((name) => name !== ''), reason: 'named in CUDA_VISIBLE_DEVICES' };
  }
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', ['-L'], { timeout: 5_000 });
    const slices = [...stdout.matchAll(/UUID: (MIG-[0-9a-f/-]+)/gi)].map((match) => match[1] ?? '');
    const cards = [...stdout.matchAll(/^GPU (\d+):/gm)].map((match) => match[1] ?? '');
    return { devices: slices.length > 0 ? slices : cards, reason: 'found by nvidia-smi' };
  } catch {
    return { devices: [], reason: 'nvidia-smi finds none' };
  }
}

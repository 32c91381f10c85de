// The gpu pool: one process per device, one training at a time. Without a device, or where onnxruntime cannot use it, the
// same code runs on the CPU provider and says so in the log, in the run and in the UI.
import type { Device } from '../activities/training/train.js';
import { findDevices } from '../adapters/devices.js';
import { probeProvider } from '../ml/provider.js';
import { hostPool } from './compute.js';
import { type PoolDeps, runPool } from './pool.js';

async function chooseDevice({ config, log }: PoolDeps): Promise<{ device: Device; env: Record<string, string> }> {
  const { devices, reason } = await findDevices(config);
  const [first, ...others] = devices;
  if (first === undefined) return onCpu(log, `no device: ${reason}`);
  process.env['CUDA_VISIBLE_DEVICES'] = first;
  if (others.length > 0) log.info({ device: first, others }, 'gpu.one-per-process');
  const probe = await probeProvider('cuda');
  const env = { CUDA_VISIBLE_DEVICES: first };
  // programs bring their own libraries, which may well use it
  if (!probe.ok) {
    return { ...onCpu(log, `device ${first}, but the cuda provider does not start: ${probe.reason}`), env };
  }
  log.info({ device: first, reason }, 'gpu.device');
  return {
    device: { provider: 'cuda', name: `gpu:${first}`, note: '', threads: 1 },
    env,
  };
}

function onCpu(log: PoolDeps['log'], note: string): { device: Device; env: Record<string, string> } {
  log.warn({ note }, 'gpu.on-cpu');
  return { device: { provider: 'cpu', name: 'cpu', note: note.slice(0, 200), threads: 1 }, env: {} };
}

await runPool('gpu', async (deps) => {
  const { device, env } = await chooseDevice(deps);
  return hostPool(deps, { slots: 1, device, env });
});

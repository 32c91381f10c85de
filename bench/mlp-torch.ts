// Samples per second of the mlp trainer against PyTorch eager, 784-256-128-10, batch 256, AdamW, CPU, one thread each.
// PyTorch is installed once into the user's cache; where that cannot be, there is no ratio and the reason is printed.
import { memoryRows } from '../ml/trainers/rows.js';
import { classificationSpec, epochTimes, median, randomVector } from './epochs.support.js';
import { pythonWith, startPython } from './python.support.js';

const [rows, width, outputs, batch, repetitions] = [20_000, 784, 10, 256, 5];

/** Answers each line with the seconds of one epoch: shuffle, batches, forward, backward, AdamW. */
const program = `
import sys, time, torch
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(1)
x = torch.rand(${rows}, ${width})
y = torch.randint(0, ${outputs}, (${rows},))
model = nn.Sequential(nn.Linear(${width}, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, ${outputs}))
optimiser = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.01)
loss_of = nn.CrossEntropyLoss()
for line in sys.stdin:
    began = time.perf_counter()
    order = torch.randperm(${rows})
    for start in range(0, ${rows}, ${batch}):
        rows = order[start:start + ${batch}]
        optimiser.zero_grad(set_to_none=True)
        loss_of(model(x[rows]), y[rows]).backward()
        optimiser.step()
    print(time.perf_counter() - began, flush=True)
`;

export async function bench() {
  const python = await pythonWith('torch-2.15.0', ['torch==2.15.0', 'numpy']);
  if (typeof python !== 'string') console.error(`without PyTorch: ${python.reason}`);
  const torch = typeof python === 'string' ? startPython(python, program) : null;
  const params = { batch, hidden: [256, 128], epochs: repetitions + 1 };
  const spec = classificationSpec('mlp', { rows, width, outputs }, params);
  const y = randomVector(rows, 4).map((value) => Math.floor(value * outputs));
  const train = memoryRows(randomVector(rows * width, 1), y, width);
  const seconds: number[] = [];
  const { ours } = await epochTimes(spec, train, async () => seconds.push((await torch?.ask('epoch')) ?? NaN));
  torch?.end();
  const mine = rows / (median(ours) / 1000);
  const result = { ours: mine, unit: 'samples/s', runs: repetitions };
  if (torch === null) return { ...result, peer: null, ratio: null };
  const theirs = rows / median(seconds.slice(1));
  return { ...result, peer: theirs, ratio: mine / theirs };
}

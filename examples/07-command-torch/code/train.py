# A network of PyTorch with checkpoints: killed at any time, it goes on from the last one and ends in the same bytes.
import json
import os
import signal
import sys
from pathlib import Path

import numpy
import torch

job = Path(os.environ['PERENNIAL_JOB'])
spec = json.loads((job / 'spec.json').read_text())
params = {'epochs': 60, 'hidden': 16, 'batch': 16, 'learningRate': 0.01, **spec['params']}

# one thread and fixed algorithms: equal sums in equal order
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def matrix(part):
    x = numpy.fromfile(job / part['x'], dtype='<f4').reshape(part['rows'], spec['width'])
    y = numpy.fromfile(job / part['y'], dtype='<f4').astype('int64')
    return torch.from_numpy(x), torch.from_numpy(y)


torch.manual_seed(spec['seed'])
network = torch.nn.Sequential(
    torch.nn.Linear(spec['width'], params['hidden']),
    torch.nn.ReLU(),
    torch.nn.Linear(params['hidden'], len(spec['classes'])),
)
optimiser = torch.optim.AdamW(network.parameters(), lr=params['learningRate'])
epoch = 0

# the last stored checkpoint lies in place, under the number of its step
checkpoints = job / 'checkpoint'
checkpoints.mkdir(exist_ok=True)
steps = sorted(int(one.name) for one in checkpoints.iterdir() if one.name.isdigit())
if steps:
    state = torch.load(checkpoints / str(steps[-1]), weights_only=True)
    network.load_state_dict(state['network'])
    optimiser.load_state_dict(state['optimiser'])
    epoch = state['epoch']


def publish():
    """Written aside, then renamed: nobody ever sees half of a checkpoint."""
    state = {'network': network.state_dict(), 'optimiser': optimiser.state_dict(), 'epoch': epoch}
    torch.save(state, job / 'checkpoint.tmp')
    os.replace(job / 'checkpoint.tmp', checkpoints / str(epoch))


stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)

x, y = matrix(spec['train'])
while epoch < params['epochs']:
    # the order is a function of seed and epoch, so that nothing of a generator needs to be kept
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(spec['seed'] * 100_003 + epoch))
    total = 0.0
    for rows in order.split(params['batch']):
        loss = torch.nn.functional.cross_entropy(network(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss) * len(rows)
    epoch += 1
    with open(job / 'metrics.jsonl', 'a') as metrics:
        line = {'step': epoch, 'epoch': epoch, 'epochs': params['epochs'], 'loss': total / len(x)}
        metrics.write(json.dumps(line) + '\n')
    publish()
    if stopping:
        sys.exit(0)

torch.onnx.export(
    torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval(),
    (torch.zeros(2, spec['width']),),
    job / 'model.onnx',
    input_names=['X'],
    output_names=['probabilities'],
    dynamic_axes={'X': {0: 'N'}, 'probabilities': {0: 'N'}},
    opset_version=18,
    dynamo=False,
)

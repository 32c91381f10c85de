# A random forest of scikit-learn, written as ONNX: X float32 [N, width] to probabilities float32 [N, C].
import json
import os
from pathlib import Path

import numpy
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

job = Path(os.environ['PERENNIAL_JOB'])
spec = json.loads((job / 'spec.json').read_text())


def matrix(part):
    x = numpy.fromfile(job / part['x'], dtype='<f4').reshape(part['rows'], spec['width'])
    return x, numpy.fromfile(job / part['y'], dtype='<f4').astype(int)


x, y = matrix(spec['train'])
forest = RandomForestClassifier(spec['params'].get('trees', 100), random_state=spec['seed'], n_jobs=1)
forest.fit(x, y)

if spec['validation']:
    accuracy = float(forest.score(*matrix(spec['validation'])))
    with open(job / 'metrics.jsonl', 'a') as metrics:
        metrics.write(json.dumps({'step': forest.n_estimators, 'validationAccuracy': accuracy}) + '\n')

model = to_onnx(
    forest,
    initial_types=[('X', FloatTensorType([None, spec['width']]))],
    options={'zipmap': False},
    target_opset={'': 18, 'ai.onnx.ml': 3},
)
(job / 'model.onnx').write_bytes(model.SerializeToString(deterministic=True))

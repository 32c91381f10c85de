# A check of the gate: of every class a share of at least params.floor must be found.
import json
import os
from collections import Counter
from pathlib import Path

job = Path(os.environ['PERENNIAL_JOB'])
spec = json.loads((job / 'spec.json').read_text())
answers = [json.loads(line) for line in (job / 'answers.jsonl').open()]

rows = Counter(answer['truth'] for answer in answers)
found = Counter(answer['truth'] for answer in answers if answer['label'] == answer['truth'])
recall, worst = min((found[name] / count, name) for name, count in rows.items())

floor = spec['params']['floor']
verdict = {'passed': recall >= floor, 'reason': f'{worst} is found in a share of {recall:.2f}', 'value': recall}
(job / 'verdict.json').write_text(json.dumps(verdict))

// A bag of embedded n-grams for each text column (Joulin et al. 2017, fastText), beside the other columns of X, then
// one linear layer, or a hidden one before it. The ids of the n-grams are the last columns of X (ml/features/text.ts).
import { Failure } from '../../domain/failures.js';
import type { TokenFacts } from '../../domain/model.js';
import { relu } from '../onnx/activations.js';
import type { Tape, Var } from '../onnx/autodiff.js';
import { dropout, embeddingBag } from '../onnx/layers.js';
import { gradientTrainer } from './gradient/index.js';
import { type GradientModel, type ParameterTensor, parameterCount } from './gradient/model.js';
import { drawNormal, randomSource } from './gradient/random.js';
import type { Shape } from './trainer.js';

interface Sizes extends TokenFacts {
  dims: number;
  /** 0: the outputs come at once. */
  hidden: number;
  /** Columns of X that are no ids. */
  dense: number;
  outputs: number;
}

function sizesOf({ params, width, outputs, tokens }: Shape): Sizes {
  if (!tokens) throw new Failure('FeaturesUnfit', 'the trainer text needs a column of type text');
  const dense = width - tokens.columns.reduce((sum, count) => sum + count, 0);
  return { ...tokens, dense, outputs, dims: Number(params['dims']), hidden: Number(params['hidden']) };
}

/** A matrix for each bag and one for the other columns, all to the first layer. */
function inputsOf({ columns, dims, dense }: Sizes): { name: string; inputs: number }[] {
  return [
    ...columns.map((_, i) => ({ name: `bag${i}`, inputs: dims })),
    ...(dense > 0 ? [{ name: 'dense', inputs: dense }] : []),
  ];
}

/** Columns `from` to `to` of x. */
function columnsOf(tape: Tape, x: Var, from: number, to: number): string {
  const { graph } = tape;
  return graph.op('Slice', [x.name, graph.ints([from]), graph.ints([to]), graph.ints([1])]);
}

/** The mean of the rows of `table` that the ids name; 0 is no id. */
function bagOf(tape: Tape, table: Var, ids: string, dims: readonly [Var['dims'][number], number]): Var {
  const { graph } = tape;
  const some = graph.op('Cast', [graph.op('Greater', [ids, tape.scalar(0).name])], { to: 1 });
  const index = graph.op('Cast', [ids], { to: 7 });
  return embeddingBag(tape, table, { index: tape.value(index, dims), weights: tape.value(some, dims) });
}

export const textModel: GradientModel = {
  layout: (shape) => {
    const sizes = sizesOf(shape);
    const { ids, dims, hidden, outputs } = sizes;
    const first = hidden > 0 ? hidden : outputs;
    return [
      { name: 'table', dims: [ids + 1, dims], decay: false },
      ...inputsOf(sizes).map(({ name, inputs }): ParameterTensor => ({ name, dims: [inputs, first], decay: true })),
      { name: 'b0', dims: [first], decay: false },
      ...(hidden > 0
        ? [
            { name: 'W1', dims: [hidden, outputs], decay: true },
            { name: 'b1', dims: [outputs], decay: false },
          ]
        : []),
    ];
  },

  /** Rows of the table of about length 1, so that bags tell apart from the first step on; matrices as in mlp.ts; biases 0. */
  initial: (shape, seed) => {
    const next = randomSource(seed, 0, 'initial');
    const layout = textModel.layout(shape);
    const p = new Float32Array(parameterCount(layout));
    let at = 0;
    for (const tensor of layout) {
      const part = p.subarray(at, (at += parameterCount([tensor])));
      const [inputs = 1, outputs = 1] = tensor.dims;
      if (tensor.name === 'table') drawNormal(part, 1 / Math.sqrt(outputs), next);
      else if (tensor.dims.length === 2) drawNormal(part, 1 / Math.sqrt(inputs), next);
    }
    return p;
  },

  dropouts: (shape) => {
    const rate = Number(shape.params['dropout']);
    const { columns, dims } = sizesOf(shape);
    return rate > 0 ? columns.map(() => ({ width: dims, rate })) : [];
  },

  forward: (tape, tensors, x, shape, masks = []) => {
    const sizes = sizesOf(shape);
    const rate = Number(shape.params['dropout']);
    const [table, ...rest] = tensors as readonly [Var, ...Var[]];
    let [from, next] = [sizes.dense, 0];
    const take = (): Var => rest[next++]!;
    let sum: Var | null = null;
    sizes.columns.forEach((count, i) => {
      const ids = columnsOf(tape, x, from, (from += count));
      let bag = bagOf(tape, table, ids, [x.dims[0]!, count]);
      if (masks[i] !== undefined) bag = dropout(tape, bag, { mask: masks[i], rate });
      const product = tape.matmul(bag, take());
      sum = sum === null ? product : tape.add(sum, product);
    });
    if (sizes.dense > 0) {
      const dense = tape.value(columnsOf(tape, x, 0, sizes.dense), [x.dims[0]!, sizes.dense]);
      sum = tape.add(sum!, tape.matmul(dense, take()));
    }
    const first = tape.add(sum!, take());
    return sizes.hidden > 0 ? tape.gemm(relu(tape, first), take(), take()) : first;
  },
};

export const text = gradientTrainer('text', '1', textModel);

// Which way to answer belongs to which kind of label.
import type { LabelKind } from '../../../domain/label-kind.js';
import { boxAnswer } from './box.js';
import type { AnswerContext, AnswerControl } from './control.js';
import { multipleAnswer } from './multiple.js';
import { numberAnswer } from './number.js';
import { preferenceAnswer } from './preference.js';
import { singleAnswer } from './single.js';
import { spanAnswer } from './span.js';

const controls: Record<LabelKind, (context: AnswerContext) => AnswerControl> = {
  single: singleAnswer,
  multiple: multipleAnswer,
  span: spanAnswer,
  box: boxAnswer,
  number: numberAnswer,
  preference: preferenceAnswer,
};

export function answerControl(kind: LabelKind, context: AnswerContext): AnswerControl {
  return controls[kind](context);
}

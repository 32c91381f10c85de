// A text with its marks as elements, and the way between places in it and the browser's selection.
import type { Span } from '../../../domain/label-kind.js';
import { h } from '../dom.js';

/** The text in pieces: those inside of spans are `mark`; where a span ends its class stands, outside of the text itself. */
export function markedText(text: string, spans: readonly Span[]): Node[] {
  const bounds = [...new Set([0, text.length, ...spans.flatMap(({ start, end }) => [start, end])])].sort(
    (a, b) => a - b,
  );
  return bounds.slice(1).map((end, place) => {
    const start = bounds[place] ?? 0;
    const piece = document.createTextNode(text.slice(start, end));
    const over = spans.filter((span) => span.start < end && span.end > start);
    if (over.length === 0) return piece;
    const ending = over.filter((span) => span.end === end).map(({ label }) => label);
    return h(
      'mark',
      { 'data-label': ending.length > 0 ? ending.join(', ') : null, title: over.map(({ label }) => label).join(', ') },
      piece,
    );
  });
}

/** What is selected, if it lies inside of `view`. */
export function offsetOf(view: Element, selection: Selection | null): { start: number; end: number } | null {
  if (!selection || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  if (!view.contains(range.commonAncestorContainer)) return null;
  const before = document.createRange();
  before.selectNodeContents(view);
  before.setEnd(range.startContainer, range.startOffset);
  const start = before.toString().length;
  return { start, end: start + range.toString().length };
}

/** Selects from `start` to `end` of the text in `view`. */
export function selectRange(view: Element, { start, end }: { start: number; end: number }): void {
  const texts = document.createTreeWalker(view, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let passed = 0;
  let begun = false;
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const length = node.textContent?.length ?? 0;
    if (!begun && start < passed + length) {
      range.setStart(node, start - passed);
      begun = true;
    }
    if (begun && end <= passed + length) {
      range.setEnd(node, end - passed);
      break;
    }
    passed += length;
  }
  if (!begun) return;
  const selection = document.getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
}

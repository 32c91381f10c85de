// No answer by accident about a picture that is not there: boxes need it, every other answer has to be given twice.
import type { LabelKind } from '../../domain/label-kind.js';

export class PictureGuard {
  private asked = '';
  private readonly kind: LabelKind;

  constructor(kind: LabelKind) {
    this.kind = kind;
  }

  /** Why what is said of an item without its picture does not count; null: it does. */
  doubt(said: unknown[]): string | null {
    const text = JSON.stringify(said);
    const again = text === this.asked;
    this.asked = text;
    if (this.kind === 'box')
      return 'Without its picture this item takes no boxes. Load the page again, or skip the item.';
    return again ? null : 'Its picture is not there. The same once more counts, or leave this item.';
  }

  /** The doubt is over. True: there was one. */
  settle(): boolean {
    const before = this.asked !== '';
    this.asked = '';
    return before;
  }
}

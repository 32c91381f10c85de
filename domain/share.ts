// Shares of rows in sentences.

/** Up to four digits and never rounded up: 0.98996 is below 0.99. */
export function writtenShare(value: number): string {
  return String(Math.floor(value * 1e4) / 1e4);
}

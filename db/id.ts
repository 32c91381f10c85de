// Ids of rows: `run_` and 20 characters of base32 that sort by time.
import { randomBytes } from 'node:crypto';

export type IdPrefix =
  | 'run'
  | 'bat'
  | 'task'
  | 'apr'
  | 'ann'
  | 'rev'
  | 'tok'
  | 'ing'
  | 'pred'
  | 'evt'
  | 'out'
  | 'req'
  | 'lab'
  | 'pip'
  | 'cam'
  | 'aut'
  | 'ds'
  | 'mod';

// Crockford's alphabet, lower case: in the order of ASCII, so text order is time order
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** A new id: 10 characters of milliseconds, 10 of chance. */
export function newId(prefix: IdPrefix): string {
  let time = Date.now();
  let head = '';
  for (let place = 0; place < 10; place += 1) {
    head = alphabet[time % 32]! + head;
    time = Math.floor(time / 32);
  }
  let tail = '';
  for (const byte of randomBytes(10)) tail += alphabet[byte % 32]!;
  return `${prefix}_${head}${tail}`;
}

// What a program prints: the last of it is kept, for the failure; what it must not know is shown as •••.
import { StringDecoder } from 'node:string_decoder';

const keptCharacters = 64 * 1024;
/** Shorter values are words that anybody may print. */
const shortestSecret = 8;
const hidden = '•••';

/** Longest first, so that one within another leaves nothing. */
export function realSecrets(values: readonly string[]): string[] {
  return [...new Set(values)].filter((value) => value.length >= shortestSecret).sort((a, b) => b.length - a.length);
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, hidden), text);
}

export class Output {
  readonly #secrets: string[];
  readonly #longest: number;
  #text = '';
  #cut = false;

  constructor(secrets: readonly string[]) {
    this.#secrets = realSecrets(secrets);
    this.#longest = this.#secrets[0]?.length ?? 1;
  }

  /** Takes one stream's bytes; true where a secret is among what came so far and now. */
  reader(): (chunk: Buffer) => boolean {
    const decoder = new StringDecoder('utf8');
    let end = '';
    return (chunk) => {
      const text = decoder.write(chunk);
      const seen = end + text;
      end = seen.slice(-(this.#longest - 1 || 1));
      this.#text += text;
      if (this.#text.length > 2 * keptCharacters) {
        this.#text = this.#text.slice(-keptCharacters);
        this.#cut = true;
      }
      return this.#secrets.some((secret) => seen.includes(secret));
    };
  }

  /** The last lines, without secrets. */
  tail(lines: number): string {
    // a line that was cut may begin with half a secret
    const whole = this.#cut ? this.#text.slice(this.#text.indexOf('\n') + 1) : this.#text;
    const text = withoutSecrets(whole, this.#secrets).trimEnd();
    return text.split('\n').slice(-lines).join('\n').slice(-4_000);
  }
}

// The verdict of a program that checks a model: read from a file that may be anything, and nothing of it is believed that is
// not exactly a verdict.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { Failure } from '../../domain/failures.js';
import { mostVerdictBytes, parseVerdict, type ProgramVerdict } from '../../domain/program.js';
import { realSecrets } from './output.js';

const invalid = (why: string): Failure => new Failure('CommandVerdictInvalid', why);

export const verdictTooLarge = (bytes: number): Failure =>
  invalid(`verdict.json has ${bytes} bytes, ${mostVerdictBytes} are allowed`);

/** The bytes of a plain file: no link, no pipe that nobody writes to, and no more than a verdict may have. */
async function readSmall(path: string): Promise<Buffer> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EACCES', 'EPERM'].includes(code)) throw invalid('verdict.json cannot be read');
    throw ['ENOENT', 'ELOOP'].includes(code) ? new Failure('CommandNoVerdict', 'there is no file verdict.json') : error;
  });
  try {
    const found = await file.stat();
    if (!found.isFile()) throw invalid('verdict.json is no file');
    if (found.size > mostVerdictBytes) throw verdictTooLarge(found.size);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Every text within, also where its letters are written as escapes. */
function textsIn(text: string): string[] {
  const texts = [text];
  try {
    JSON.parse(text, (name, value: unknown) => {
      texts.push(name, typeof value === 'string' ? value : '');
      return value;
    });
  } catch {
    // it is no JSON; its letters are what they are
  }
  return texts;
}

/** Throws `CommandVerdictInvalid` for what is none, `CommandPrintedSecret` where it holds a secret. */
export async function readVerdict(path: string, secrets: readonly string[]): Promise<ProgramVerdict> {
  const bytes = await readSmall(path);
  const texts = textsIn(bytes.toString('utf8'));
  if (realSecrets(secrets).some((secret) => texts.some((text) => text.includes(secret)))) {
    throw new Failure('CommandPrintedSecret', 'the verdict of the program holds a value that is secret');
  }
  const read = parseVerdict(new TextDecoder('utf-8').decode(bytes));
  if ('fault' in read) throw invalid(read.fault);
  return read.verdict;
}

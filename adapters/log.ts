// One JSON line per fact, to stderr: `log.info({ run: 'run_1', ms: 3 }, 'run.step.finished')`.
// Passwords in connection strings and fields that carry secrets are struck out before a line is written.
import pino from 'pino';
import type { Config } from './config.js';
import { Secret } from './config.js';

export type Log = pino.Logger;

const secretFields = ['authorization', 'cookie', 'password', 'token', 'secret', 'DATABASE_URL', 'PERENNIAL_TOKEN'];

/** Strikes the password out of every connection string in a text. */
export function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@"]*):[^\s@/"]+@/gi, '$1:•••@');
}

function clean(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutPasswords(value);
  if (value === null || typeof value !== 'object' || depth > 4) return value;
  if (value instanceof Secret) return value.toString();
  if (value instanceof Error) return clean(pino.stdSerializers.err(value), depth + 1);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  const entries = Object.entries(value).map(([key, item]) => [key, clean(item, depth + 1)]);
  return Object.fromEntries(entries);
}

/** A logger for one process. `destination` is for tests; everything else writes to stderr. */
export function createLog(
  config: Pick<Config, 'logLevel'>,
  name: string,
  destination: pino.DestinationStream = pino.destination({ dest: 2, sync: true }),
): Log {
  return pino(
    {
      level: config.logLevel,
      base: { name, pid: process.pid },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => clean(fields) as Record<string, unknown>,
      },
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '•••' },
      hooks: {
        logMethod(args, method) {
          const cleaned = args.map((value) => (typeof value === 'string' ? withoutPasswords(value) : value));
          Reflect.apply(method, this, cleaned);
        },
      },
    },
    destination,
  );
}

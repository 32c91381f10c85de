// Sends what was committed for workflows: at once after a write, and each second whatever was left.
import type { Log } from '../adapters/log.js';
import { kicker, type OutboxMessage } from '../db/outbox.js';
import type { Db } from '../db/client.js';

export interface OutboxSender {
  kick(): void;
  /** Lets go of what is being sent: it stays in the outbox, and sending it again does no harm. */
  stop(): Promise<void>;
}

const everyMs = 1_000;

/** Nothing is sent before `prepared`. */
export function startOutbox(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
  options: { log: Log; prepared: Promise<void> },
): OutboxSender {
  const { log, prepared } = options;
  const stopping = new AbortController();
  let open = false;
  let down = false;
  const stopped = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener('abort', () => reject(new Error('this process ends')));
  });
  stopped.catch(() => undefined);
  const onSweep = (error?: unknown): void => {
    if (error === undefined && down) log.info({}, 'api.outbox.reachable');
    if (error !== undefined && !down) log.warn({ err: error }, 'api.outbox.unreachable');
    down = error !== undefined;
  };
  const sweeps = kicker(db, (message) => Promise.race([send(message), stopped]), onSweep);
  const kick = (): void => {
    if (open && !stopping.signal.aborted) sweeps.kick();
  };
  const timer = setInterval(kick, everyMs);
  timer.unref();
  prepared.then(
    () => {
      open = true;
      kick();
    },
    () => undefined,
  );
  return {
    kick,
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await sweeps.idle();
    },
  };
}

// Sends what was committed for workflows: at once after a write, and each second whatever was left.
import type { Log } from '../adapters/log.js';
import { sweepOutbox, type OutboxMessage } from '../db/outbox.js';
import type { Db } from '../db/client.js';

export interface OutboxSender {
  kick(): void;
  /** Lets go of what is being sent: it stays in the outbox, and sending it again does no harm. */
  stop(): Promise<void>;
}

const everyMs = 1_000;

/** One sweep at a time; a kick during one makes another follow. Nothing is sent before `prepared`. */
export function startOutbox(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
  options: { log: Log; prepared: Promise<void> },
): OutboxSender {
  const { log, prepared } = options;
  const stopping = new AbortController();
  let running: Promise<void> | null = null;
  let again = false;
  let open = false;
  let down = false;
  const stopped = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener('abort', () => reject(new Error('this process ends')));
  });
  stopped.catch(() => undefined);
  const sweep = async (): Promise<void> => {
    do {
      again = false;
      try {
        await sweepOutbox(db, (message) => Promise.race([send(message), stopped]), { limit: 50 });
        if (down) log.info({}, 'api.outbox.reachable');
        down = false;
      } catch (error) {
        if (!down) log.warn({ err: error }, 'api.outbox.unreachable');
        down = true;
      }
    } while (again && !stopping.signal.aborted);
    running = null;
  };
  const kick = (): void => {
    if (!open || stopping.signal.aborted) return;
    if (running) again = true;
    else running = sweep();
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
      await running;
    },
  };
}

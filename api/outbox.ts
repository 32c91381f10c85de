// Sends what was committed for workflows: at once after a write, and each second whatever was left.
import type { Log } from '../adapters/log.js';
import { sweepOutbox, type OutboxMessage } from '../db/outbox.js';
import type { Db } from '../db/client.js';

export interface OutboxSender {
  kick(): void;
  /** Ends after the sweep under way. */
  stop(): Promise<void>;
}

const everyMs = 1_000;

/** One sweep at a time; a kick during one makes another follow. */
export function startOutbox(
  db: Db,
  send: (message: OutboxMessage) => Promise<'sent' | 'gone'>,
  log: Log,
): OutboxSender {
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;
  let down = false;
  const sweep = async (): Promise<void> => {
    do {
      again = false;
      try {
        await sweepOutbox(db, send);
        if (down) log.info({}, 'api.outbox.reachable');
        down = false;
      } catch (error) {
        if (!down) log.warn({ err: error }, 'api.outbox.unreachable');
        down = true;
      }
    } while (again && !stopped);
    running = null;
  };
  const kick = (): void => {
    if (stopped) return;
    if (running) again = true;
    else running = sweep();
  };
  const timer = setInterval(kick, everyMs);
  timer.unref();
  return {
    kick,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}

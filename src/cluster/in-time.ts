import { setTimeout as wait } from 'node:timers/promises';

/** A server that is killed takes what was on its way with it, and a stream without a leader answers nothing: so ask again soon. */
const ASK_MILLISECONDS = 2000;

/**
 * Awaits an answer of NATS. One that comes later is ignored.
 *
 * @throws {Error} if it is not there in time
 */
export async function inTime<T>(asked: Promise<T>, milliseconds = ASK_MILLISECONDS): Promise<T> {
  const done = new AbortController();
  const late = wait(milliseconds, undefined, { signal: done.signal, ref: false }).then(() => {
    throw new Error(`NATS has not answered within ${milliseconds} ms`);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    done.abort();
  }
}

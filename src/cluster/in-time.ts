import { setTimeout as wait } from 'node:timers/promises';

/**
 * The default time limit. It is short, so that callers soon ask again: requests to a killed server are lost, and a
 * stream without a leader does not answer.
 */
const ASK_MILLISECONDS = 2000;

/**
 * Awaits an answer of NATS, within a time limit. Ignores a later one.
 *
 * @throws {Error} if it does not come in time
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

import { Problem } from '../client.js';
import { Backoff, pause } from '../client/backoff.js';

/**
 * Asks until there is an answer.
 *
 * @param {() => Promise<unknown>} ask
 * @returns {Promise<void>}
 * @throws {Problem} that a repeat cannot mend
 */
export async function untilAnswered(ask) {
  const backoff = new Backoff();
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (error instanceof Problem && !error.passes) throw error;
      await pause(backoff.next());
    }
  }
}

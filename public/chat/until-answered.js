import { Problem } from '../client.js';
import { backoff, pause, spread } from '../client/backoff.js';

/**
 * Asks until there is an answer, and waits between the tries.
 *
 * @param {() => Promise<unknown>} ask
 * @returns {Promise<void>}
 * @throws {Problem} that a repeat cannot fix
 */
export async function untilAnswered(ask) {
  for (let tries = 0; ; tries++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (error instanceof Problem && !error.passes) throw error;
      await pause(spread(backoff(tries)));
    }
  }
}

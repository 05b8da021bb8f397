import { aborted } from './backoff.js';

/** @import { Stored } from './feed.js' */

/** @typedef {ReturnType<typeof createMessages>} Messages */

/**
 * Creates a source of messages for `for await` loops, which take one at a time. Asking for the next message
 * says that the one before is done. If a loop ends early, its last message is the first of the next loop.
 */
export function createMessages() {
  /**
   * The message that no loop has, and the function that says that it is done.
   *
   * @type {{ message: Stored, taken: () => void } | undefined}
   */
  let waiting;
  /**
   * Set if loops must end, with an error if there is one.
   *
   * @type {{ fault: Error | undefined } | undefined}
   */
  let end;
  /** Aborted to wake the loops that wait. */
  let changed = new AbortController();

  function wake() {
    changed.abort();
    changed = new AbortController();
  }

  return {
    /**
     * Offers a message.
     *
     * @param {Stored} message
     * @returns {Promise<void>} resolves when the message is done
     */
    offer(message) {
      return new Promise((taken) => {
        waiting = { message, taken };
        wake();
      });
    },

    /**
     * Ends all loops: with an error if there is one. Does nothing if they have ended.
     *
     * @param {Error} [fault]
     */
    end(fault) {
      end ??= { fault };
      wake();
    },

    /** Lets loops begin again. */
    resume() {
      end = undefined;
    },

    /** Iterates over the messages. @returns {AsyncGenerator<Stored, void, void>} */
    async *loop() {
      for (;;) {
        while (!end && !waiting) await aborted(changed.signal);
        if (end?.fault) throw end.fault;
        if (end || !waiting) return;
        const { message, taken } = waiting;
        let rest = /** @type {typeof waiting | undefined} */ (waiting);
        waiting = undefined;
        try {
          yield message;
          rest = undefined;
        } finally {
          // If this loop ends here, another loop takes the message.
          waiting = rest;
          wake();
        }
        taken();
      }
    },
  };
}

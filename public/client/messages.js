import { aborted } from './backoff.js';

/** @import { Stored } from './feed.js' */

/** @typedef {ReturnType<typeof createMessages>} Messages */

/**
 * Creates messages as `for await` takes them, one at a time. Asking for the next one says that the one before is done with. If a
 * loop ends early, the message that it had is the first of the next loop.
 */
export function createMessages() {
  /** The message that no loop has, and what says that it was taken. @type {{ message: Stored, taken: () => void } | undefined} */
  let waiting;
  /** Whether loops end, and with which error. @type {{ fault: Error | undefined } | undefined} */
  let end;
  /** Wakes the loops that have nothing to do. */
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
     * @returns {Promise<void>} resolves when it is done with
     */
    offer(message) {
      return new Promise((taken) => {
        waiting = { message, taken };
        wake();
      });
    },

    /** Ends all loops: with an error if there is one. Does nothing if they have ended. @param {Error} [fault] */
    end(fault) {
      end ??= { fault };
      wake();
    },

    /** Lets loops begin again. */
    resume() {
      end = undefined;
    },

    /** Iterates. @returns {AsyncGenerator<Stored, void, void>} */
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
          // If this loop ends here, another takes the message.
          waiting = rest;
          wake();
        }
        taken();
      }
    },
  };
}

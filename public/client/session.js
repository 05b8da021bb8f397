import { openChannel } from './environment.js';
import { Problem } from './errors.js';
import { readEntries } from './outbox-entries.js';
import { storage, tabStorage } from './storage.js';

/** @import { Fault } from './errors.js' */
/** @import { Service } from './service.js' */

/**
 * Returns the session of this browser with a service: finds out whose it is, and tells all tabs when it ends.
 * Listens to the other tabs.
 *
 * @param {Service} service
 * @param {string} sender the sender of the page's messages
 * @param {() => void} onSignedOut called if another tab, or another connection of this page, signs out
 */
export function openSession(service, sender, onSignedOut) {
  /** The prefix of the names of all values stored for the service. */
  const prefix = `tidings:${service.name}:`;
  const owners = `${prefix}owner:`;
  const outboxes = `${prefix}outbox:`;
  const ownerName = owners + JSON.stringify(sender);
  /** The owner of the session, once this connection has asked. @type {string | undefined} */
  let ownOwner;
  /** Whether the owner is known, or being asked for. */
  let isKnown = false;
  let isClosed = false;
  let channel = openChannel(`${prefix}session`, () => {
    onSignedOut();
    tabStorage.clear(prefix);
  });

  /**
   * Asks whose session, or whose token, it is; `null` stands for nobody.
   *
   * @returns {Promise<string | null | undefined>} `undefined` if the service does not say
   */
  async function ask() {
    const session = service.get('session', []).catch(() => ({}));
    return /** @type {{ sub?: string | null }} */ (await session).sub;
  }

  /** Returns the names of the values stored for the service, except messages that wait for other people. */
  function names() {
    const owner = storage.get(ownerName);
    const others = storage
      .names(owners)
      .filter((name) => storage.get(name) !== owner)
      .flatMap((name) => [name, `${name.replace(owners, outboxes)}:`]);
    return storage.names(prefix).filter((name) => !others.some((other) => name.startsWith(other)));
  }

  function clear() {
    for (const name of names()) storage.remove(name);
    tabStorage.clear(prefix);
  }

  return {
    /** Stops listening, and remembers nothing more. */
    close() {
      isClosed = true;
      channel?.close();
      channel = undefined;
    },

    /** Remembers whose session it is, for later visits too. Call it when the service has accepted it. */
    async remember() {
      if (isKnown) return;
      isKnown = true;
      const owner = await ask();
      if (owner === undefined) isKnown = false;
      if (typeof owner !== 'string' || isClosed) return;
      ownOwner = owner;
      storage.set(ownerName, owner);
    },

    /** Makes the next `remember` ask again: the session has expired, and the page may get another one. */
    forget() {
      isKnown = false;
    },

    /**
     * Returns whether somebody else has signed in since, in this visit or before it. Asks the service only if
     * that can be the reason for the fault.
     *
     * @param {Fault | undefined} fault
     * @returns {Promise<boolean>} `false` if it is not known
     */
    async isReplaced(fault) {
      const owner = ownOwner ?? storage.get(ownerName);
      const isDenied = fault instanceof Problem && [401, 403].includes(fault.status);
      const now = isDenied && owner !== undefined && (await ask());
      return typeof now === 'string' && now !== owner;
    },

    /** The messages that wait, of any sender, and that the end of the session removes. */
    get unsent() {
      return readEntries(names().filter((name) => name.startsWith(outboxes)));
    },

    /**
     * Ends the session, and removes all values stored for the service, except other people's messages. Tells
     * all other connections to the service at once, whatever they follow: call it before `close`.
     *
     * @throws {Problem | Unreachable} if the service could not be told: the cookie is still valid then, and a
     *   repeat is safe
     */
    async end() {
      channel?.postMessage('signed-out');
      clear();
      try {
        if (!service.token) await service.send('DELETE', 'session');
      } catch (error) {
        // A service without sessions has none to end.
        if (!(error instanceof Problem) || error.passes) throw error;
      }
      // The other tabs know by now. One of them may have stored its position in the meantime.
      clear();
    },
  };
}

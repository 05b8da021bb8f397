/** The features of the environment: a page, a worker or a program. Each may be missing or forbidden. */

/** Returns whether this is a page. Workers and programs share nothing with tabs, and store nothing. */
export function isPage() {
  return typeof document === 'object';
}

/** Returns the base of relative URLs; `undefined` in a program. @returns {string | undefined} */
export function baseUrl() {
  return isPage() ? document.baseURI : /** @type {{ location?: Location }} */ (globalThis).location?.href;
}

/** Returns whether this machine has a network, as far as it knows. */
export function isOnline() {
  return /** @type {{ navigator?: Partial<Navigator> }} */ (globalThis).navigator?.onLine !== false;
}

/**
 * Returns the locks of this site; `undefined` if there are none, as on pages that are not served securely.
 *
 * @returns {LockManager | undefined}
 */
export function siteLocks() {
  return isPage() ? /** @type {Partial<Navigator>} */ (navigator).locks : undefined;
}

/**
 * Opens a channel to the other tabs.
 *
 * @param {string} name
 * @param {((event: MessageEvent) => void) | null} [onMessage]
 * @returns {BroadcastChannel | undefined} `undefined` if there is none, for example if cookies are blocked
 */
export function openChannel(name, onMessage = null) {
  if (!isPage()) return undefined;
  try {
    const channel = new BroadcastChannel(name);
    channel.onmessage = onMessage;
    return channel;
  } catch {
    return undefined;
  }
}

/**
 * Listens to events of the page, its document, or the worker. Does nothing in a program.
 *
 * @param {string} type
 * @param {(event: any) => void} listener
 * @param {AbortSignal} [signal] stops listening
 */
export function listen(type, listener, signal) {
  const target = /** @type {Partial<EventTarget>} */ (globalThis);
  // Capturing: on their way to the document, all events pass the window, even those that do not bubble.
  target.addEventListener?.(type, listener, { capture: true, ...(signal && { signal }) });
}

/**
 * Reports an error of a callback as the runtime reports uncaught errors, and goes on.
 *
 * @param {unknown} error
 */
export function reportFault(error) {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}

/** Returns a new idempotency key. Pages that are not served securely do not have `crypto.randomUUID`. */
export function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/**
 * Resolves in another task; never if the page is being left. A browser breaks the requests of such a page
 * before it says `pagehide`, in the same task, and the page would tell other tabs that the service is gone.
 * Timers would not do: those of hidden tabs are slow.
 *
 * @returns {Promise<void>}
 */
export function unlessLeft() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

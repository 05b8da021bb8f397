/** The features of the place in which this runs: a page, a worker or a program. Each may be missing, or be refused. */

/** Whether this is a page: workers and programs share nothing with tabs, and keep nothing. */
export function isPage() {
  return typeof document === 'object';
}

/** Returns the URL that relative ones are relative to; `undefined` in a program. @returns {string | undefined} */
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
 * @returns {BroadcastChannel | undefined} `undefined` if there is none, as where a browser blocks all cookies
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
 * @param {AbortSignal} [signal] ends it
 */
export function listen(type, listener, signal) {
  const target = /** @type {Partial<EventTarget>} */ (globalThis);
  // On their way to the document events pass the window, also those that do not come back to it.
  target.addEventListener?.(type, listener, { capture: true, ...(signal && { signal }) });
}

/** Reports what a callback threw as the runtime reports uncaught errors, and ends nothing. @param {unknown} error */
export function reportFault(error) {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}

/** A new idempotency key. Not `crypto.randomUUID`, which pages that are not served securely do not have. */
export function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/**
 * Resolves in another task; never if the page is just being left. It breaks its requests before it is told so (`pagehide`), in the same
 * task, and would tell other tabs that the service is gone. Not a timer: those of hidden tabs are slow.
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

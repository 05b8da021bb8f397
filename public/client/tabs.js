/**
 * The tabs of one browser that want the same: one of them leads, and the others hear from it. HTTP/1.1 gives a browser
 * six connections to a host; with a stream in each tab, the seventh would hang in silence.
 *
 * The one that holds a Web Lock leads. The browser frees it when the tab closes or crashes, and gives it to the next.
 * Where there are no locks (pages that are not served securely, or embedded ones that may not have them), each tab
 * leads itself.
 *
 * @template Said what they tell each other
 */
export class Tabs {
  /** @type {BroadcastChannel | undefined} */
  #channel;
  #closed = new AbortController();
  /** @type {() => void} */
  #release = () => undefined;
  #leads = false;

  /**
   * @param {string} name what the tabs have in common
   * @param {() => void} onLead called when this tab leads from now on
   * @param {(said: Said) => void} onHear what another tab says
   */
  constructor(name, onLead, onHear) {
    const { signal } = this.#closed;
    const lead = () => {
      this.#leads = true;
      onLead();
    };
    if (!('locks' in navigator)) {
      queueMicrotask(() => {
        if (!signal.aborted) lead();
      });
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = (/** @type {MessageEvent<Said>} */ { data }) => {
      if (!signal.aborted) onHear(data);
    };
    const held = navigator.locks.request(name, { signal }, () => {
      // Closed between the grant and this call.
      if (signal.aborted) return undefined;
      lead();
      return new Promise((resolve) => (this.#release = () => resolve(undefined)));
    });
    // Rejects where it is closed while it waits, and where locks are there but not allowed.
    held.catch(() => {
      if (!signal.aborted) lead();
    });
  }

  /** Whether this tab leads. */
  get leads() {
    return this.#leads;
  }

  /** Says something to the other tabs. @param {Said} what */
  say(what) {
    // A channel that is closed throws.
    if (!this.#closed.signal.aborted) this.#channel?.postMessage(what);
  }

  /** Leaves the others: one of them leads from now on. */
  close() {
    this.#leads = false;
    this.#closed.abort();
    this.#release();
    this.#channel?.close();
  }
}

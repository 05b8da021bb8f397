import { createCredential, createToken } from './credential.js';
import { reportFault } from './environment.js';
import { Problem, Unsent } from './errors.js';
import { createMessages } from './messages.js';
import { check, PAGE_RULES, WATCH_RULES } from './options.js';
import { openOutbox } from './outbox.js';
import { getPage } from './polls.js';
import { sendReadMarker } from './read-marker.js';
import { createService } from './service.js';
import { openSession } from './session.js';
import { openSharedConnection } from './shared-connection.js';
import { isFinal, newStatus } from './status.js';
import { storage } from './storage.js';

/** @import { Connection } from './connect.js' */
/** @import { Fault } from './errors.js' */
/** @import { State } from './connection.js' */
/** @import { Stored } from './feed.js' */
/** @import { checkOptions } from './options.js' */
/** @import { GapReason } from './position.js' */
/** @import { Status } from './status.js' */

const HISTORY_PAGE = 50;

/**
 * Opens a connection to inboxes, with its outbox.
 *
 * @param {ReturnType<typeof checkOptions>} options checked
 * @returns {Connection}
 */
export function openClient(options) {
  const { url, token, sender, recipients, onMessage, onExpired, signal } = options;
  const inboxes = recipients.map((recipient) => /** @type {const} */ (['recipient', recipient]));
  const service = createService(url, token && createToken(token));
  const renewal = onExpired && createCredential('session', onExpired, false);
  const session = openSession(service, sender, () => lose('signed-out'));
  const messages = createMessages();
  const status = newStatus(storage.isPersistent);
  const closed = new AbortController();
  const outbox = openOutbox(service, sender, {
    onChange: () => tellStatus({}),
    onRefused: (draft, problem) => void tell(options.onRefused, { draft, problem }),
    onExpired: renew,
    onFault: checkSession,
  });
  const shared = openSharedConnection(
    service,
    { ...options, inboxes, renewal: token ? 'token' : onExpired && 'page' },
    {
      onMessage: takeMessage,
      onEvent: (event) => void tell(options.onEvent, event),
      onGap: takeGap,
      onFrame: (frame) => void tell(options.onFrame, frame),
      onState: takeState,
      onReconnect: outbox.retry,
      onExpired: renew,
      onFault: checkSession,
    },
  );

  /**
   * Calls a callback of the page. Reports the errors that it throws. Does nothing after `close`.
   *
   * @template Value
   * @param {((value: Value) => unknown) | undefined} callback
   * @param {Value} value
   * @returns {Promise<unknown> | undefined} a promise if the page is still busy with the value
   */
  function tell(callback, value) {
    try {
      const result = closed.signal.aborted ? undefined : callback?.(value);
      return result instanceof Promise ? result.catch(reportFault) : undefined;
    } catch (error) {
      reportFault(error);
      return undefined;
    }
  }

  /** @param {Stored} message */
  function takeMessage(message) {
    if (status.state === 'catching-up') status.caughtUp++;
    return onMessage === undefined ? messages.offer(message) : tell(onMessage, message);
  }

  /** @param {{ reason: GapReason, cursor: string }} gap */
  function takeGap(gap) {
    // A restored log assigns ids again, so the markers would mark other messages as read. Those that another
    // tab adds later belong to the restored log.
    if (gap.reason === 'restored' && !status.shared)
      outbox.drop(({ type }) => type === 'read', 'the log was restored from an older backup');
    void tell(options.onGap, gap);
  }

  /** @param {State & { shared: boolean }} state */
  function takeState(state) {
    const { state: now, problem, detail } = state;
    const before = status.state;
    if (now === 'live' && before !== 'live') {
      // There is a session again, whoever got it. A call of `onExpired` that is under way may never settle.
      renewal?.forget();
      void session.remember();
      outbox.retry();
    }
    if (now === 'expired') session.forget();
    tellStatus(now === 'catching-up' && before !== now ? { ...state, caughtUp: 0 } : state);
    const isStuck = now === 'expired' && !onExpired && !token;
    if (isFinal(now) || now === 'refused' || isStuck)
      messages.end(new Problem(problem?.status ?? 401, problem?.detail ?? detail));
    if (!isFinal(now)) return;
    // The page already knows why.
    outbox.close(new Error(`${detail}: the message was not sent`));
    close();
  }

  /** @param {Partial<Status>} change */
  function tellStatus(change) {
    const before = JSON.stringify(status);
    Object.assign(status, change, { waiting: outbox.size, persistent: storage.isPersistent });
    if (JSON.stringify(status) !== before) void tell(options.onStatus, { ...status });
  }

  /** Gets a new session, if the page can. */
  async function renew() {
    if (!closed.signal.aborted) await renewal?.value();
  }

  /**
   * Ends the connection if somebody else has signed in.
   *
   * @param {Fault | undefined} fault
   * @returns {Promise<boolean>} whether somebody has
   */
  async function checkSession(fault) {
    const isReplaced = await session.isReplaced(fault);
    if (isReplaced) lose('replaced');
    return isReplaced;
  }

  /** @param {'replaced' | 'signed-out'} state */
  function lose(state) {
    if (!closed.signal.aborted) shared.lose(state);
  }

  function close() {
    closed.abort();
    if (!isFinal(status.state)) Object.assign(status, { state: 'closed', detail: '', problem: null });
    shared.close();
    outbox.close();
    session.close();
    messages.end();
  }

  /** Throws if the connection is closed: nobody would learn what became of a message. */
  function checkOpen() {
    if (closed.signal.aborted) throw new Error('the connection is closed');
  }

  if (signal?.aborted) close();
  else signal?.addEventListener('abort', close, { signal: closed.signal });

  return {
    async send(draft) {
      checkOpen();
      return outbox.add({ sender, ...draft });
    },

    async sendEphemeral(draft) {
      const message = { sender, ...draft, ephemeral: true };
      return /** @type {{ devices?: number }} */ (await service.post('messages', message)).devices;
    },

    async markRead(peer, messageId) {
      checkOpen();
      return sendReadMarker(outbox, sender, peer, messageId);
    },

    messages() {
      if (onMessage !== undefined) throw new TypeError('messages: cannot be used with "onMessage"');
      return messages.loop();
    },

    async history(page = {}) {
      check('history', PAGE_RULES, page);
      const { before = 'latest', limit = HISTORY_PAGE } = page;
      return getPage({ service, inboxes }, { before: String(before), limit: String(limit) });
    },

    watch(addresses) {
      check('watch', WATCH_RULES, { addresses });
      shared.watch(addresses);
    },

    reconnect() {
      messages.resume();
      // The current token may grant too little.
      if (status.state === 'refused') service.token?.forget();
      shared.reconnect();
    },

    close,

    async signOut({ discard = false } = {}) {
      const { unsent } = session;
      if (unsent.length > 0 && !discard) throw new Unsent(unsent);
      const ended = session.end();
      lose('signed-out');
      await ended;
    },

    get cursor() {
      return shared.cursor;
    },

    get outbox() {
      return outbox.entries;
    },

    get status() {
      return { ...status, waiting: outbox.size };
    },

    [Symbol.asyncDispose]() {
      close();
      return Promise.resolve();
    },
  };
}

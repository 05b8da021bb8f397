/**
 * Tidings in a page: one stream for all tabs, resumed exactly, and an outbox that sends exactly once.
 *
 * ```js
 * import { connect } from '/client.js';
 * const inbox = connect({ recipient: 'alice', onMessage: (message) => show(message) });
 * await inbox.send({ recipient: 'bob', content: 'hi' });
 * ```
 */
import { Inbox } from './client/inbox.js';
import { Outbox } from './client/outbox.js';
import { Problem, Service, Unreachable } from './client/service.js';

/** @import { GapReason, Message, Presence, Stored } from './client/feed.js' */
/** @import { LinkState } from './client/link.js' */
/** @import { Draft, Entry } from './client/outbox.js' */
/** @import { Frame } from './client/stream.js' */

export { Problem, Unreachable };

/**
 * How it stands.
 *
 * @typedef {object} Status
 * @property {LinkState} state `live`: what happens is told as it happens; `catching-up`: what was missed is being told;
 *   `offline`: it will try again by itself; `expired`: it waits for `onExpired` or `reconnect`; `refused`: for `reconnect`
 * @property {'stream' | 'polling'} transport how it comes: polling where a proxy keeps streams back
 * @property {boolean} shared whether another tab has the connection
 * @property {string} detail a sentence for a person where it is not live; may be empty
 * @property {number} caughtUp how many messages were told since it began to catch up
 * @property {number} waiting how many messages wait in the outbox
 */

/**
 * @typedef {object} Options
 * @property {string | readonly string[]} recipient the inboxes to follow, 1 to 100; the first is one's own
 * @property {string} [sender] whom to send as; the first recipient where it is left out
 * @property {string | URL} [url] where the service is; where this file came from, unless it is given
 * @property {string} [cursor] where to begin, such as the `cursor` of a page of history; where this browser stopped,
 *   unless it is given
 * @property {number} [last] where there is no cursor: begin with so many of the newest messages (0 to 1000)
 * @property {readonly string[]} [presence] addresses whose presence is told through `onEvent`
 * @property {(message: Stored) => void} [onMessage] each stored message once, in order
 * @property {(event: Presence | Message) => void} [onEvent] what is not stored: presence, and ephemeral messages
 * @property {(status: Status) => void} [onStatus]
 * @property {(gap: { reason: GapReason, cursor: string }) => void} [onGap] not all that was missed can be told.
 *   `purged`: it goes on with what is left; `restored` and `unknown`: it begins anew with the oldest message, so take
 *   away what is shown
 * @property {(frame: Frame) => void} [onFrame] each frame as it came, for those who debug
 * @property {() => Promise<unknown>} [onExpired] the session is over: get a new one (`PUT /session`), then resolve. It is
 *   called again where another tab got one, and that is over too, though nothing came of this call yet
 * @property {(refused: { draft: Entry, problem: Problem }) => void} [onRefused] a message of the outbox will never be
 *   stored, also one of an earlier visit
 */

/**
 * A connection to one's inboxes.
 *
 * @typedef {object} Connection
 * @property {(draft: Draft) => Promise<Stored>} send stores a message, exactly once and in the order of sending, also
 *   when offline and over reloads. Resolves with the stored message; rejects with a `Problem` that a retry cannot mend
 * @property {(draft: Draft) => Promise<number | undefined>} sendEphemeral to the streams that are live now, not stored,
 *   not tried again; resolves with how many took it, if one may see the recipient's presence
 * @property {(peer: string, messageId: number) => Promise<Stored>} markRead tells the peer and one's other devices
 *   through which message one has read. Rejects where it waits while the log goes back in time: ids begin anew in it
 * @property {(addresses: readonly string[]) => void} watch whose presence is told from now on, at most 100
 * @property {() => void} reconnect tries again at once
 * @property {() => void} close ends it; what waits in the outbox is still sent
 * @property {string | undefined} cursor up to where everything was told
 * @property {readonly Entry[]} outbox what waits to be stored, the oldest first
 * @property {Status} status
 */

/**
 * Follows inboxes, and sends.
 *
 * All tabs of a browser that follow the same inboxes share one stream. The position is kept in the browser, so a reload
 * or a night's sleep misses nothing, and what was told is not told again.
 *
 * @param {Options} options
 * @returns {Connection}
 * @throws {TypeError} where there is no recipient
 */
export function connect(options) {
  const recipients = typeof options.recipient === 'string' ? [options.recipient] : [...options.recipient];
  const [own] = recipients;
  if (own === undefined || own === '')
    throw new TypeError('connect: "recipient" must name at least one inbox');
  const sender = options.sender ?? own;
  const service = new Service(options.url ?? new URL('.', import.meta.url));
  let closed = false;
  /** @type {Promise<unknown> | undefined} */
  let renewal;
  /** @type {Status} */
  const status = {
    state: 'connecting',
    transport: 'stream',
    shared: true,
    detail: '',
    caughtUp: 0,
    waiting: 0,
  };

  /**
   * Calls back; what a page throws is its own, and ends nothing here. After `close` nothing is told.
   *
   * @template Value
   * @param {((value: Value) => void) | undefined} callback
   * @param {Value} value
   */
  const tell = (callback, value) => {
    try {
      if (!closed) callback?.(value);
    } catch (error) {
      reportError(error);
    }
  };
  /** @param {Partial<Status>} change */
  const tellStatus = (change) => {
    const before = JSON.stringify(status);
    Object.assign(status, change, { waiting: outbox.size });
    if (JSON.stringify(status) !== before) tell(options.onStatus, { ...status });
  };
  const onExpired = () => {
    const { onExpired: renew } = options;
    if (renew === undefined || closed) return undefined;
    if (renewal !== undefined) return renewal;
    const asked = new Promise((resolve) => resolve(renew())).finally(() => {
      if (renewal === asked) renewal = undefined;
    });
    renewal = asked;
    return asked;
  };

  const outbox = new Outbox(service, sender, {
    onChange: () => tellStatus({}),
    onRefused: (draft, problem) => tell(options.onRefused, { draft, problem }),
    onExpired,
  });
  const { cursor, last = 0, presence = [] } = options;
  const inbox = new Inbox(
    service,
    recipients,
    { cursor, last, presence },
    {
      onMessage: (message) => {
        if (status.state === 'catching-up') status.caughtUp++;
        tell(options.onMessage, message);
      },
      onEvent: (event) => tell(options.onEvent, event),
      onGap: (gap) => {
        // Ids begin anew in a log that went back in time: others' messages would be taken for read. What another tab
        // puts in later is of the new log.
        if (gap.reason === 'restored' && !status.shared)
          outbox.drop(({ type }) => type === 'read', 'the log went back in time: the message is not in it');
        tell(options.onGap, gap);
      },
      onFrame: (frame) => tell(options.onFrame, frame),
      onState: (state) => {
        const begins = state.state === 'catching-up' && status.state !== 'catching-up';
        if (state.state === 'live' && status.state !== 'live') {
          // There is a session, whoever got it: nothing may come of what this page was asked for.
          renewal = undefined;
          // It is there again: what waits need not.
          outbox.retry();
        }
        tellStatus(begins ? { ...state, caughtUp: 0 } : state);
      },
      onReconnect: () => outbox.retry(),
      onExpired,
    },
  );
  outbox.flush();

  return {
    send: (draft) => (closed ? Promise.reject(ended()) : outbox.add({ sender, ...draft })),
    sendEphemeral: async (draft) => {
      const answer = await service.post('messages', { sender, ...draft, ephemeral: true });
      return /** @type {{ devices?: number }} */ (answer).devices;
    },
    markRead: (peer, messageId) => {
      if (closed) return Promise.reject(ended());
      /** @param {Draft} entry */
      const same = (entry) => entry.type === 'read' && entry.recipient === peer;
      const waiting = outbox.entries
        .filter(same)
        .map(({ content }) => /** @type {{ messageId: number }} */ (content).messageId);
      const content = { messageId: Math.max(messageId, ...waiting) };
      return outbox.replace({ sender, recipient: peer, type: 'read', content }, same);
    },
    watch: (addresses) => inbox.watch(addresses),
    reconnect: () => inbox.reconnect(),
    close: () => {
      closed = true;
      inbox.close();
      outbox.close();
    },
    get cursor() {
      return inbox.cursor;
    },
    get outbox() {
      return outbox.entries;
    },
    get status() {
      return { ...status };
    },
  };
}

/** What is sent after `close` is refused: nobody would be told what became of it. */
function ended() {
  return new Error('the connection is closed');
}

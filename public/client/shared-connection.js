import { createConnection } from './connection.js';
import { newKey } from './environment.js';
import { createFeed } from './feed.js';
import { idOf } from './position.js';
import { openSharedLock } from './shared-lock.js';
import { CONNECTING, detailOf, isFinal } from './status.js';
import { storage, tabStorage } from './storage.js';
import { createWatched } from './watched.js';

/** @import { Connection, ConnectionOptions, State } from './connection.js' */
/** @import { Fault } from './errors.js' */
/** @import { Message, Presence, Stored } from './feed.js' */
/** @import { GapReason } from './position.js' */
/** @import { Service } from './service.js' */
/** @import { SharedLock } from './shared-lock.js' */
/** @import { Frame } from './stream.js' */

/**
 * A message from one tab to the others. `hello` says which addresses the tab wants to watch, none if it
 * leaves; it is said at the start, when the tab is seen, and in answer to `roll`. `before` is the cursor of
 * the stream before the frame, `cursor` the position of the leading tab.
 *
 * @typedef {{ kind: 'hello', tab: string, wish: readonly string[] } | { kind: 'roll' } | { kind: 'reconnect' } | { kind: 'lost', state: 'replaced' | 'signed-out' }
 *   | { kind: 'frame', frame: Frame, before: string | undefined }
 *   | { kind: 'state', state: State, cursor: string | undefined, presence: Frame[] }} TabMessage
 */

/**
 * @typedef {object} SharedConnectionEvents
 * @property {(message: Stored) => unknown} onMessage if it returns a promise, the next message waits for it
 * @property {(event: Presence | Message) => void} onEvent
 * @property {(gap: { reason: GapReason, cursor: string }) => void} onGap
 * @property {(frame: Frame) => void} onFrame
 * @property {(state: State & { shared: boolean }) => void} onState
 * @property {() => void} onReconnect a tab wants to reconnect at once
 * @property {() => Promise<unknown>} onExpired gets a new session, if the page can
 * @property {(fault: Fault | undefined) => Promise<boolean>} onFault returns whether the fault ends the
 *   connection
 */

/** How long the leading tab may be silent, until the interval of the service's heartbeats is known. */
const SILENCE_MILLISECONDS = 37_500;

/**
 * Opens the connection that all tabs of a browser share: one tab has it, and passes everything on to the
 * others. With HTTP/1.1 a browser opens six connections to a host: with a stream in each tab, the seventh tab
 * would hang silently.
 *
 * @param {Service} service
 * @param {Omit<ConnectionOptions, 'service' | 'cursor'>
 *   & { recipients: readonly string[], cursor?: string | undefined, presence: readonly string[] }} options
 * @param {SharedConnectionEvents} events
 */
export function openSharedConnection(service, options, events) {
  const name = `tidings:${service.name}:${JSON.stringify([...options.recipients].sort())}`;
  const cursorName = `${name}:cursor`;
  const tab = newKey();
  /** @type {State} */
  let state = CONNECTING;
  /** The connection, if this tab has it. @type {Connection | undefined} */
  let connection;
  const begin = options.cursor ?? tabStorage.get(cursorName) ?? storage.get(cursorName);
  const feed = createFeed(service, options.inboxes, begin, { ...events, onMoved: keep });
  const watched = createWatched(options.presence, events.onEvent);
  /** @type {SharedLock<TabMessage>} */
  const tabs = openSharedLock(`${name}:tabs`, SILENCE_MILLISECONDS, {
    onGain: lead,
    onLose: stopLeading,
    onHear: hear,
    onHide: () => sayHello([]),
    onShow: sayHello,
  });
  tabs.request();
  sayHello();

  function sayHello(wish = watched.own) {
    tabs.say({ kind: 'hello', tab, wish });
  }

  function sayState() {
    tabs.say({ kind: 'state', state, cursor: feed.cursor, presence: watched.known });
  }

  /** @param {State} to */
  function setState(to) {
    state = to;
    events.onState({ ...state, shared: !connection });
  }

  function lead() {
    const own = createConnection({ ...options, service, cursor: () => feed.cursor }, watched.all, {
      ...events,
      onFrame(frame, before, silence) {
        takeFrame(frame, undefined);
        tabs.silence = silence;
        tabs.say({ kind: 'frame', frame, before });
      },
      onPage: (page) => feed.takePage(page),
      onState(to) {
        setState(to);
        sayState();
      },
    });
    connection = own;
    setState(CONNECTING);
    sayState();
    own.start();
    // Tabs that crashed have not said goodbye.
    watched.forgetOthers();
    tabs.say({ kind: 'roll' });
  }

  /** Gives up the connection: the page is put away, or another tab has taken over and will tell the state. */
  function stopLeading() {
    connection?.close();
    connection = undefined;
    setState(CONNECTING);
    sayHello();
  }

  /**
   * @param {TabMessage} message
   * @param {boolean} isLate whether the other tab once had the connection, and has lost it
   */
  function hear(message, isLate) {
    switch (message.kind) {
      case 'hello':
        // Every tab knows all wishes: if it takes over, its stream begins with them.
        watched.hear(message.tab, message.wish);
        if (!connection) break;
        connection.watch(watched.all);
        // The other tab may be visible again, and this one may have slept.
        connection.check();
        sayState();
        break;
      case 'roll':
        sayHello();
        break;
      case 'frame':
        // If it is late, the stream of another tab tells the same, and is up to date.
        if (!isLate) takeFrame(message.frame, message.before);
        break;
      case 'state':
        if (isLate || connection) break;
        // Catch up once when the connection is live again, not at every message of the leading tab.
        if (message.cursor !== undefined)
          feed.catchUp(message.cursor, message.state.state === 'live' && state.state !== 'live');
        watched.renew(message.presence);
        setState(message.state);
        break;
      case 'reconnect':
        reconnect();
        break;
      case 'lost':
        beLost(message.state);
        break;
    }
  }

  /**
   * @param {Frame} frame
   * @param {string | undefined} before
   */
  function takeFrame(frame, before) {
    events.onFrame(frame);
    if (frame.event === 'ready') watched.renew();
    if (frame.event === 'presence') watched.take(frame);
    else feed.take(frame, before);
  }

  /**
   * Stores the cursor: each tab its own, for a reload, and the leading tab also the one for new visits. A
   * page may close the connection while it takes a message. That message was told, so its cursor is stored.
   *
   * @param {string} cursor
   * @param {boolean} again whether the cursor may go back
   */
  function keep(cursor, again) {
    // After the end of the session nothing may be stored.
    if (isFinal(state.state)) return;
    tabStorage.set(cursorName, cursor);
    const isBehind = !again && idOf(storage.get(cursorName)) > idOf(cursor);
    if (connection && !isBehind) storage.set(cursorName, cursor);
  }

  function reconnect() {
    connection?.reconnect();
    events.onReconnect();
  }

  /** @param {'replaced' | 'signed-out'} to */
  function beLost(to) {
    if (connection) connection.lose(to);
    else setState({ ...CONNECTING, state: to, detail: detailOf(to) });
  }

  return {
    /** The cursor up to which everything was told to the page. */
    get cursor() {
      return feed.cursor;
    },

    /** Watches the presence of these addresses from now on. @param {readonly string[]} addresses */
    watch(addresses) {
      watched.want(addresses);
      connection?.watch(watched.all);
      sayHello();
    },

    /** Tries to connect at once. */
    reconnect() {
      tabs.say({ kind: 'reconnect' });
      reconnect();
    },

    /**
     * Closes the connection in all tabs: the session is somebody else's, or has ended.
     *
     * @param {'replaced' | 'signed-out'} to
     */
    lose(to) {
      tabs.say({ kind: 'lost', state: to });
      beLost(to);
    },

    /** Leaves the other tabs, and closes the connection if this tab has it. */
    close() {
      sayHello([]);
      connection?.close();
      tabs.close();
      feed.close();
    },
  };
}

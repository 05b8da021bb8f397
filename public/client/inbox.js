import { Feed, idOf } from './feed.js';
import { Link } from './link.js';
import { storage } from './storage.js';
import { Tabs } from './tabs.js';
import { Watched } from './watched.js';

/** @import { GapReason, Message, Presence, Stored } from './feed.js' */
/** @import { LinkState } from './link.js' */
/** @import { Service } from './service.js' */
/** @import { Frame } from './stream.js' */

/** @typedef {{ state: LinkState, transport: 'stream' | 'polling', detail: string }} State how the connection stands */

/**
 * What tabs tell each other. `roll`: who is there? `before`: where the stream was before the frame. `cursor`: up to
 * where the tab that leads was told.
 *
 * @typedef {{ kind: 'hello', tab: string, watched: readonly string[] } | { kind: 'bye', tab: string }
 *   | { kind: 'roll' } | { kind: 'reconnect' } | { kind: 'look' }
 *   | { kind: 'frame', frame: Frame, before: string | undefined }
 *   | { kind: 'state', state: State, cursor: string | undefined, presence: Frame[] }} Said
 */

/**
 * @typedef {object} InboxEvents
 * @property {(message: Stored) => void} onMessage
 * @property {(event: Presence | Message) => void} onEvent
 * @property {(gap: { reason: GapReason, cursor: string }) => void} onGap
 * @property {(frame: Frame) => void} onFrame
 * @property {(state: State & { shared: boolean }) => void} onState
 * @property {() => void} onReconnect a tab wants to try again at once
 * @property {() => Promise<unknown> | undefined} onExpired gets a new session; `undefined` where nobody can
 */

/** What all tabs of a browser follow together: one of them has the connection, and tells the others. */
export class Inbox {
  #service;
  #inboxes;
  #last;
  #events;
  #cursorName;
  #feed;
  #watched;
  #tabs;
  #tab = crypto.getRandomValues(new Uint32Array(2)).join('-');
  /** @type {State} */
  #state = { state: 'connecting', transport: 'stream', detail: '' };
  /** @type {Link | undefined} */
  #link;

  /**
   * @param {Service} service
   * @param {readonly string[]} recipients
   * @param {{ cursor: string | undefined, last: number, presence: readonly string[] }} start
   * @param {InboxEvents} events
   */
  constructor(service, recipients, { cursor, last, presence }, events) {
    const name = `tidings:${service.name}:${JSON.stringify([...recipients].sort())}`;
    this.#service = service;
    this.#inboxes = recipients.map((recipient) => /** @type {[string, string]} */ (['recipient', recipient]));
    this.#last = last;
    this.#events = events;
    this.#cursorName = `${name}:cursor`;
    this.#feed = new Feed(service, this.#inboxes, cursor ?? storage.get(this.#cursorName), {
      ...events,
      onMoved: (to, again) => this.#keep(to, again),
    });
    this.#watched = new Watched(presence, (frame) => this.#feed.take(frame, undefined));
    this.#tabs = new Tabs(
      name,
      () => this.#lead(),
      (/** @type {Said} */ said) => this.#hear(said),
    );
    globalThis.addEventListener('pagehide', this.#onHide);
    globalThis.addEventListener('pageshow', this.#onShow);
    document.addEventListener('visibilitychange', this.#onLook);
    this.#sayHello();
  }

  /** Up to where everything was told. */
  get cursor() {
    return this.#feed.cursor;
  }

  /** @param {readonly string[]} addresses whose presence is told from now on */
  watch(addresses) {
    this.#watched.want(addresses);
    this.#link?.watch(this.#watched.all);
    this.#sayHello();
  }

  /** Tries again at once. */
  reconnect() {
    this.#link?.reconnect();
    this.#tabs.say({ kind: 'reconnect' });
    this.#events.onReconnect();
  }

  close() {
    globalThis.removeEventListener('pagehide', this.#onHide);
    globalThis.removeEventListener('pageshow', this.#onShow);
    document.removeEventListener('visibilitychange', this.#onLook);
    this.#onHide();
    this.#link?.close();
    this.#tabs.close();
    this.#feed.close();
  }

  #onHide = () => this.#tabs.say({ kind: 'bye', tab: this.#tab });
  #onShow = () => this.#sayHello();
  /** Somebody looks at this tab, and another may have slept with the stream. */
  #onLook = () => this.#tabs.say({ kind: 'look' });

  #sayHello() {
    this.#tabs.say({ kind: 'hello', tab: this.#tab, watched: this.#watched.own });
  }

  #sayState() {
    const { cursor } = this.#feed;
    this.#tabs.say({ kind: 'state', state: this.#state, cursor, presence: this.#watched.known });
  }

  /** @param {State} state */
  #setState(state) {
    this.#state = state;
    this.#events.onState({ ...state, shared: this.#link === undefined });
  }

  #lead() {
    const cursor = () => this.#feed.cursor;
    this.#link = new Link(this.#service, this.#inboxes, cursor, this.#last, this.#watched.all, {
      onFrame: (frame, before) => {
        this.#takeFrame(frame, undefined);
        this.#tabs.say({ kind: 'frame', frame, before });
      },
      onPage: (page) => this.#feed.takePage(page),
      onState: (state, transport, detail) => {
        this.#setState({ state, transport, detail });
        this.#sayState();
      },
      onExpired: this.#events.onExpired,
    });
    this.#setState({ state: 'connecting', transport: 'stream', detail: '' });
    this.#sayState();
    // Of those that crashed nobody has taken leave.
    this.#watched.forgetOthers();
    this.#tabs.say({ kind: 'roll' });
  }

  /** @param {Said} said */
  #hear(said) {
    switch (said.kind) {
      case 'hello':
        this.#watched.hear(said.tab, said.watched);
        this.#link?.watch(this.#watched.all);
        if (this.#tabs.leads) this.#sayState();
        break;
      case 'bye':
        this.#watched.hear(said.tab, []);
        break;
      case 'roll':
        this.#sayHello();
        break;
      case 'frame':
        this.#takeFrame(said.frame, said.before);
        break;
      case 'state':
        // It is asked for once where the connection is well again, and not at each word of the tab that has it.
        if (said.cursor !== undefined)
          this.#feed.catchUp(said.cursor, said.state.state === 'live' && this.#state.state !== 'live');
        // What the tab that led before still said.
        if (this.#tabs.leads) break;
        this.#watched.takeAll(said.presence);
        this.#setState(said.state);
        break;
      case 'reconnect':
        this.#link?.reconnect();
        this.#events.onReconnect();
        break;
      case 'look':
        this.#link?.check();
        break;
    }
  }

  /**
   * @param {Frame} frame
   * @param {string | undefined} before
   */
  #takeFrame(frame, before) {
    this.#events.onFrame(frame);
    if (frame.event === 'ready') this.#watched.forgetKnown();
    if (frame.event === 'presence') this.#watched.take(frame);
    else this.#feed.take(frame, before);
  }

  /**
   * Keeps the position over reloads.
   *
   * @param {string} cursor
   * @param {boolean} again whether it went back
   */
  #keep(cursor, again) {
    // One tab writes it: another may lag behind. Also the message with which its page has closed it was told.
    if (this.#link === undefined) return;
    const kept = storage.get(this.#cursorName);
    if (!again && kept !== undefined && idOf(kept) > idOf(cursor)) return;
    try {
      storage.set(this.#cursorName, cursor);
    } catch {
      // No room: a reload begins where it was last kept, and what came since is told again.
    }
  }
}

import { aborted, Backoff, pause, spread } from './backoff.js';
import { Polls } from './polls.js';
import { Stream } from './stream.js';

/** @import { End, Frame } from './stream.js' */
/** @import { Page } from './feed.js' */
/** @import { Service } from './service.js' */

/**
 * How it stands with the service: `refused` and `expired` last until `reconnect`.
 *
 * @typedef {'connecting' | 'catching-up' | 'live' | 'offline' | 'expired' | 'refused'} LinkState
 */

/**
 * @typedef {object} LinkEvents
 * @property {(frame: Frame, before: string | undefined) => void} onFrame `before`: the cursor of the stream before it
 * @property {(page: Page) => void} onPage
 * @property {(state: LinkState, transport: 'stream' | 'polling', detail: string) => void} onState
 * @property {() => Promise<unknown> | undefined} onExpired gets a new session; `undefined` where nobody can
 */

/** While polling, a stream is tried again this often. */
const TRIAL_MILLISECONDS = 60_000;

/** Wishes for presence within this time are one. */
const REWATCH_MILLISECONDS = 200;

/** After `bye` and for a broken stream: spread, so that all devices of a service that was restarted do not come at once. */
const SOON = { least: 1000, most: 4000 };
const LATER = { least: 5000, most: 15_000 };

/** What one tab has open with the service, for all tabs: a stream, or polls where streams do not come through. */
export class Link {
  #service;
  #inboxes;
  #events;
  #cursor;
  #last;
  /** Whose presence is wanted, and whose the stream tells that was opened last. @type {readonly string[]} */
  #watched = [];
  /** @type {readonly string[]} */
  #told = [];
  #backoff = new Backoff();
  /** @type {Stream | undefined} */
  #stream;
  /** @type {number | undefined} */
  #rewatch;
  #closed = new AbortController();
  /** Ends whatever is waited for: it is time to try again. */
  #wake = new AbortController();

  /**
   * @param {Service} service
   * @param {readonly [string, string][]} inboxes as they stand in a query
   * @param {() => string | undefined} cursor from where on
   * @param {number} last how many of the newest messages, where there is no cursor
   * @param {readonly string[]} watched whose presence is to be told
   * @param {LinkEvents} events
   */
  constructor(service, inboxes, cursor, last, watched, events) {
    this.#service = service;
    this.#inboxes = inboxes;
    this.#cursor = cursor;
    this.#last = last;
    this.#watched = watched;
    this.#events = events;
    globalThis.addEventListener('online', this.#onOnline);
    globalThis.addEventListener('offline', this.#onOffline);
    document.addEventListener('visibilitychange', this.check);
    globalThis.addEventListener('pageshow', this.check);
    void this.#run();
  }

  /** Ends it for good. */
  close() {
    globalThis.removeEventListener('online', this.#onOnline);
    globalThis.removeEventListener('offline', this.#onOffline);
    document.removeEventListener('visibilitychange', this.check);
    globalThis.removeEventListener('pageshow', this.check);
    clearTimeout(this.#rewatch);
    this.#closed.abort();
    this.reconnect();
  }

  /** Tries again at once. */
  reconnect() {
    this.#backoff.reset();
    this.#wake.abort();
    this.#wake = new AbortController();
    this.#stream?.close('closed');
  }

  /**
   * Whose presence is to be told: the stream is opened anew for those that it does not tell yet.
   *
   * @param {readonly string[]} addresses at most 100
   */
  watch(addresses) {
    // Those that are not wanted any more may be what a stream is refused for.
    this.#watched = addresses;
    if (addresses.every((one) => this.#told.includes(one))) return;
    // Tabs that are restored say so one after another. While it waits to try again, the next try is soon enough.
    this.#rewatch ??= setTimeout(() => {
      this.#rewatch = undefined;
      this.#stream?.close('closed');
    }, REWATCH_MILLISECONDS);
  }

  /** Ends the stream where it has been silent for too long: to be called when the machine may have slept. */
  check = () => this.#stream?.check();

  #onOnline = () => this.reconnect();
  #onOffline = () => this.#events.onState('offline', 'stream', 'this machine is offline');

  async #run() {
    let stream = this.#open();
    while (stream !== undefined) {
      const end = await stream.ended;
      if (this.#closed.signal.aborted) return;
      if (end === 'silent') {
        stream = await this.#poll();
      } else {
        await this.#waitAfter(end);
        stream = this.#open();
      }
    }
  }

  /** @returns {Stream | undefined} `undefined` where it was closed: what is opened then would stay for ever */
  #open() {
    if (this.#closed.signal.aborted) return undefined;
    clearTimeout(this.#rewatch);
    this.#rewatch = undefined;
    let before = this.#cursor();
    this.#told = this.#watched;
    const stream = new Stream(this.#url, (frame) => {
      if (this.#closed.signal.aborted) return;
      this.#note(frame);
      this.#events.onFrame(frame, before);
      if (frame.id !== '') before = frame.id;
    });
    this.#stream = stream;
    return stream;
  }

  /** The stream from here on. */
  get #url() {
    const cursor = this.#cursor();
    /** @type {[string, string][]} */
    const query = [...this.#inboxes];
    for (const address of this.#watched) query.push(['presence', address]);
    if (cursor !== undefined) query.push(['lastEventId', cursor]);
    else if (this.#last > 0) query.push(['last', String(this.#last)]);
    return this.#service.url('stream', query);
  }

  /** @param {Frame} frame */
  #note({ event }) {
    if (event === 'ready') {
      this.#backoff.reset();
      this.#events.onState('catching-up', 'stream', '');
    } else if (event === 'live') {
      this.#events.onState('live', 'stream', '');
    }
  }

  /** @param {End} end */
  async #waitAfter(end) {
    // Taken first: what wakes it while it asks must not be missed.
    const wake = this.#wake.signal;
    this.#events.onState('connecting', 'stream', '');
    switch (end) {
      case 'closed':
      case 'quiet':
        return;
      case 'token-expired':
        return this.#renew(wake);
      case 'over-limit':
        return this.#pause(spread(LATER.least, LATER.most), wake);
      case 'refused':
        return this.#explain(wake);
      case 'broken':
      case 'unavailable':
        return this.#pause(Math.max(this.#backoff.next(), spread(SOON.least, SOON.most)), wake);
      default:
        return this.#pause(spread(SOON.least, SOON.most), wake);
    }
  }

  /** Asks why a stream was refused, and does what helps. @param {AbortSignal} wake */
  async #explain(wake) {
    const problem = await this.#service.probe(this.#url).catch(() => undefined);
    if (problem?.status === 401) return this.#renew(wake);
    if (problem === undefined || problem.passes) return this.#pause(this.#backoff.next(), wake);
    return this.#stopUntil(wake, 'refused', problem.message);
  }

  /** The session is over: the page gets a new one, and it goes on where it was. @param {AbortSignal} wake */
  async #renew(wake) {
    const renewal = this.#events.onExpired();
    if (renewal === undefined) return this.#stopUntil(wake, 'expired', 'the session is over');
    this.#events.onState('expired', 'stream', 'the session is over');
    // A person may be asked; another tab may have got one in the meantime.
    const renewed = renewal.then(
      () => true,
      () => false,
    );
    await Promise.race([renewed, aborted(wake)]);
    if (wake.aborted) return;
    // One that is over at once would be asked for without end.
    if (await renewed) await pause(this.#backoff.next() / 2, wake);
    else await this.#pause(this.#backoff.next(), wake);
  }

  /**
   * @param {AbortSignal} wake
   * @param {'expired' | 'refused'} state
   * @param {string} detail
   */
  async #stopUntil(wake, state, detail) {
    if (wake.aborted) return;
    this.#events.onState(state, 'stream', detail);
    await aborted(wake);
  }

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} wake
   */
  async #pause(milliseconds, wake) {
    if (wake.aborted) return;
    this.#tellOffline('stream');
    await pause(milliseconds, wake);
  }

  /** @param {'stream' | 'polling'} transport */
  #tellOffline(transport) {
    const why = navigator.onLine ? 'the service cannot be reached' : 'this machine is offline';
    this.#events.onState('offline', transport, why);
  }

  /**
   * Polls while streams do not come through, and tries one again from time to time.
   *
   * @returns {Promise<Stream | undefined>} one that is ready, or the next try where polls do not come through either
   */
  async #poll() {
    const polls = new Polls(this.#service, this.#inboxes, this.#cursor, this.#last, {
      onPage: (page) => {
        this.#events.onPage(page);
        this.#events.onState(page.more ? 'catching-up' : 'live', 'polling', '');
      },
      onExpired: () => this.#renew(this.#wake.signal),
    });
    const over = new AbortController();
    try {
      for (;;) {
        const wake = this.#wake.signal;
        await Promise.race([pause(TRIAL_MILLISECONDS, AbortSignal.any([wake, over.signal])), polls.ended]);
        if (polls.failed) this.#tellOffline('polling');
        const stream = this.#open();
        if (stream === undefined || polls.failed || wake.aborted) return stream;
        const isReady = await stream.ready;
        if (isReady || this.#wake.signal !== wake) return stream;
      }
    } finally {
      polls.stop();
      over.abort();
    }
  }
}

/**
 * One frame as it came.
 *
 * @typedef {object} Frame
 * @property {string} event its event name; `message` where it has none
 * @property {string} id the cursor that it carries; empty where it has none
 * @property {string} data its JSON
 * @property {number} at when it came, as milliseconds since the Unix epoch
 */

/**
 * Why a stream is over: `silent`: it was not ready in time, as behind a proxy that buffers; `quiet`: nothing was heard
 * for too long; `broken`: the connection was; `refused`: the answer was no stream; `closed`: from here; else what the
 * service said in its `bye`.
 *
 * @typedef {'silent' | 'quiet' | 'broken' | 'refused' | 'closed' | 'shutdown' | 'token-expired' | 'too-slow' | 'over-limit' | 'unavailable'} End
 */

/** The events that the service names; what has no name is a `message`. */
const NAMES = ['message', 'ready', 'live', 'heartbeat', 'presence', 'bye'];

const READY_MILLISECONDS = 5000;

/** A stream is dead when so many heartbeats failed to come. */
const HEARTBEATS = 2.5;

/** Networks and busy pages keep back what is sent for some seconds, however short the heartbeats are. */
const LEAST_SILENCE_MILLISECONDS = 10_000;

/** How often it is looked whether anything was heard: by the clock, which goes on while the machine sleeps. */
const LOOK_MILLISECONDS = 1000;

/**
 * One try of a stream, by the browser's own EventSource. It does not come back by itself: EventSource would, but not
 * after a status that is no 200, nor where a dead connection is never told to it.
 */
export class Stream {
  /** @type {Promise<End>} */
  ended;
  /** Resolves with `true` when it is ready, with `false` when it is over before. @type {Promise<boolean>} */
  ready;
  #source;
  /** The silence after which it is taken for dead, in milliseconds: before `ready` there is none to be expected. */
  #silence = READY_MILLISECONDS;
  #heard = Date.now();
  #isReady = false;
  #look;
  /** @type {number | undefined} */
  #late;
  /** @type {(end: End) => void} */
  #end = () => undefined;
  /** @type {(ready: boolean) => void} */
  #settle = () => undefined;

  /**
   * @param {URL} url
   * @param {(frame: Frame) => void} onFrame
   */
  constructor(url, onFrame) {
    this.ready = new Promise((resolve) => (this.#settle = resolve));
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#source = new EventSource(url, { withCredentials: true });
    for (const name of NAMES) {
      this.#source.addEventListener(name, (/** @type {MessageEvent<string>} */ event) =>
        this.#receive(name, event, onFrame),
      );
    }
    this.#source.addEventListener('error', () => {
      this.close(this.#source.readyState === EventSource.CLOSED ? 'refused' : 'broken');
    });
    this.#look = setInterval(() => this.check(), LOOK_MILLISECONDS);
  }

  /** Ends it where it has been silent for too long: to be called when the machine may have slept. */
  check() {
    const silence = Date.now() - this.#heard;
    if (silence < 0) this.#heard = Date.now();
    else if (silence > this.#silence) this.close(this.#isReady ? 'quiet' : 'silent');
  }

  /** Ends it. Does nothing where it has ended. @param {End} [end] */
  close(end = 'closed') {
    clearInterval(this.#look);
    clearTimeout(this.#late);
    this.#source.close();
    this.#settle(false);
    this.#end(end);
  }

  /**
   * @param {string} name
   * @param {MessageEvent<string>} event
   * @param {(frame: Frame) => void} onFrame
   */
  #receive(name, event, onFrame) {
    this.#heard = Date.now();
    if (name === 'ready') {
      /** @type {unknown} */
      const ready = JSON.parse(event.data);
      const { heartbeatSeconds } = /** @type {{ heartbeatSeconds: number }} */ (ready);
      this.#silence = Math.max(LEAST_SILENCE_MILLISECONDS, heartbeatSeconds * 1000 * HEARTBEATS);
      this.#isReady = true;
      this.#settle(true);
    }
    // Browsers let the intervals of a tab that is not seen wait a minute, but not a timer that an event has set.
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.check(), this.#silence + 1);
    // EventSource repeats the last id for a frame that has none; a message that is not stored has none in it either.
    const moves =
      name === 'message' ? event.data.startsWith('{"id":') : !['heartbeat', 'presence'].includes(name);
    onFrame({ event: name, id: moves ? event.lastEventId : '', data: event.data, at: this.#heard });
    if (name !== 'bye') return;
    /** @type {unknown} */
    const bye = JSON.parse(event.data);
    this.close(/** @type {{ reason: End }} */ (bye).reason);
  }
}

import { spread } from './backoff.js';
import { listen, unlessLeft } from './environment.js';
import { asFault, Problem } from './errors.js';
import { openEventSource } from './event-source.js';
import { openFetchStream } from './fetch-stream.js';
import { initialState, next } from './machine.js';
import { poll } from './polls.js';
import { detailOf } from './status.js';
import { openStream } from './stream.js';

/** @import { Fault } from './errors.js' */
/** @import { Page } from './feed.js' */
/** @import { Command, ConnectionState, Effect, Failure, MachineEvent, MachineState, Transport } from './machine.js' */
/** @import { Service } from './service.js' */
/** @import { Frame, Stream } from './stream.js' */

/**
 * The state of a connection.
 *
 * @typedef {object} State
 * @property {ConnectionState} state
 * @property {Transport} transport
 * @property {string} detail a sentence for people; may be empty
 * @property {{ status: number, detail: string, errors: readonly object[] } | null} problem why the service
 *   refused it
 */

/**
 * @typedef {object} ConnectionEvents
 * @property {(frame: Frame, before: string | undefined, silence: number) => void} onFrame `before`: the
 *   cursor before the frame; `silence`: after how many milliseconds another tab may take this one for dead
 * @property {(page: Page) => Promise<void>} onPage resolves when the page's messages have been told
 * @property {(state: State) => void} onState
 * @property {() => Promise<unknown>} onExpired gets a new session
 * @property {(fault: Fault | undefined) => Promise<boolean>} onFault returns whether the fault ends the
 *   connection
 */

/**
 * @typedef {object} ConnectionOptions
 * @property {Service} service
 * @property {readonly (readonly [string, string])[]} inboxes as query parameters
 * @property {() => string | undefined} cursor returns the cursor to continue from
 * @property {number} last how many of the newest messages to get if there is no cursor
 * @property {'event-source' | 'fetch' | 'polling'} transport
 * @property {MachineState['renewal']} renewal
 */

/** Changes of the watched addresses within this time are combined. */
const REWATCH_MILLISECONDS = 200;

/** @typedef {ReturnType<typeof createConnection>} Connection */

/**
 * Creates the connection of one tab to the service: a stream, or polls if streams do not get through. It does
 * what machine.js says.
 *
 * @param {ConnectionOptions} options
 * @param {readonly string[]} watched addresses whose presence is sent
 * @param {ConnectionEvents} events
 */
export function createConnection(options, watched, events) {
  const { service, inboxes, last, transport } = options;
  const openSource = transport === 'event-source' ? openEventSource : openFetchStream;
  let state = initialState(options.renewal, transport !== 'polling');
  /** @type {Stream | undefined} */
  let stream;
  /** The addresses that the newest stream watches. @type {readonly string[]} */
  let streamWatches = [];
  /**
   * The version of the token with which the newest stream became ready. If a token is refused before that,
   * service.js has already renewed it.
   */
  let tokenVersion = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let wait;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let rewatch;
  /** Aborted when the state changes: stops a probe or a renewal. */
  let leaving = new AbortController();
  let polling = new AbortController();
  const closed = new AbortController();

  /**
   * Carries out the effects.
   *
   * @type {Record<Command, (effect: Failure) => void>
   *   & { [Do in 'wait' | 'tell']: (effect: Extract<Effect, { do: Do }>) => void }}
   */
  const effects = {
    open() {
      let before = options.cursor();
      stream?.close();
      streamWatches = watched;
      const takeFrame = (/** @type {Frame} */ frame, /** @type {number} */ silence) => {
        const { event, id } = frame;
        if (event === 'ready') tokenVersion = service.token?.version ?? 0;
        if (event === 'ready' || event === 'live') take({ type: event });
        events.onFrame(frame, before, silence);
        if (id !== '') before = id;
      };
      stream = openStream(openSource, streamUrl(), service, takeFrame, (end, fault) =>
        take({ type: 'ended', end, fault }),
      );
    },

    'drop-stream': () => stream?.close(),

    poll() {
      polling.abort();
      polling = new AbortController();
      const { signal } = polling;
      const takePage = async (/** @type {Page} */ page) => {
        await events.onPage(page);
        if (!signal.aborted) take({ type: 'page', more: page.more });
      };
      void explain('polls-ended', poll(options, takePage, signal), signal);
    },

    'stop-polls': () => polling.abort(),

    wait(range) {
      wait = setTimeout(() => take({ type: 'time' }), spread(range));
    },

    probe({ fault }) {
      const { signal } = leaving;
      // EventSource does not give the reason. Should a stream open this time, it ends with the state.
      const refused = fault === undefined ? service.openStream(streamUrl(), signal) : Promise.reject(fault);
      void explain('explained', refused, signal);
    },

    renew() {
      const renewal = service.token?.renew(tokenVersion) ?? events.onExpired();
      void explain('renewed', renewal, leaving.signal);
    },

    tell({ state: told, transport: by, fault }) {
      const problem = fault instanceof Problem ? fault : null;
      events.onState({
        state: told,
        transport: by,
        detail: detailOf(told, fault),
        problem: problem && { status: problem.status, detail: problem.detail, errors: problem.errors },
      });
    },
  };

  /** @param {MachineEvent} event */
  function take(event) {
    const step = next(state, event);
    if (step.state.name !== state.name) {
      leaving.abort();
      leaving = new AbortController();
      clearTimeout(wait);
    }
    state = step.state;
    if (state.name === 'closed') closed.abort();
    for (const effect of step.effects) {
      // A callback of the page has closed or reconnected the connection: the other effects are obsolete.
      if (state !== step.state) return;
      /** @type {(effect: Effect) => void} */ (effects[effect.do])(effect);
    }
  }

  /**
   * Tells the machine how some work has ended: with a fault, or with `undefined`. Does nothing if the work
   * was stopped, or if the fault ends the connection.
   *
   * @param {'polls-ended' | 'explained' | 'renewed'} type
   * @param {Promise<unknown>} work
   * @param {AbortSignal} signal
   */
  async function explain(type, work, signal) {
    const fault = await work.then(() => undefined, asFault);
    await unlessLeft();
    const isLost = await events.onFault(signal.aborted ? undefined : fault);
    if (!signal.aborted && !isLost) take({ type, fault });
  }

  /** Returns the URL of a stream that begins at the cursor. */
  function streamUrl() {
    const cursor = options.cursor();
    return service.url('stream', [
      ...inboxes,
      ...watched.map((address) => /** @type {const} */ (['presence', address])),
      cursor === undefined ? ['last', String(last)] : ['lastEventId', cursor],
    ]);
  }

  /** Tries to connect at once. */
  function reconnect() {
    take({ type: 'reconnect' });
  }

  /** Ends the stream if it has been silent for too long. Call it when the machine may have slept. */
  function check() {
    stream?.check();
  }

  return {
    reconnect,
    check,

    /** Starts to connect. */
    start() {
      const { signal } = closed;
      listen('online', reconnect, signal);
      listen('offline', () => take({ type: 'offline' }), signal);
      listen('visibilitychange', check, signal);
      take({ type: 'start' });
    },

    /** Closes the connection permanently. */
    close() {
      take({ type: 'close' });
    },

    /**
     * Closes the connection permanently: the session is somebody else's, or has ended.
     *
     * @param {'replaced' | 'signed-out'} lost
     */
    lose(lost) {
      take({ type: 'session-lost', state: lost });
    },

    /**
     * Watches the presence of these addresses. Opens the stream again if it does not watch all of them.
     *
     * @param {readonly string[]} addresses at most 100
     */
    watch(addresses) {
      watched = addresses;
      // Restored tabs ask one after another. A stream that opens in the meantime watches them already.
      rewatch ??= setTimeout(() => {
        rewatch = undefined;
        if (!watched.every((one) => streamWatches.includes(one))) take({ type: 'rewatch' });
      }, REWATCH_MILLISECONDS);
    },
  };
}

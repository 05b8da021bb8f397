import { unlessLeft } from './environment.js';

/** @import { Fault } from './errors.js' */
/** @import { Service } from './service.js' */

/**
 * A frame as it came.
 *
 * @typedef {object} Frame
 * @property {string} event its event name; `message` if it has none
 * @property {string} id the cursor that it carries; empty if it has none
 * @property {string} data its JSON
 * @property {number} at when it came, in milliseconds since the Unix epoch
 */

/**
 * The reason for the end of a stream. `silent`: it was not ready in time, for example behind a proxy that
 * buffers; `quiet`: nothing was heard for too long; `broken`: the connection broke; `refused`: the answer was
 * not a stream; `closed`: this side closed it. The others come from the service's `bye`.
 *
 * @typedef {'silent' | 'quiet' | 'broken' | 'refused' | 'closed' | 'shutdown' | 'token-expired' | 'too-slow' | 'over-limit' | 'behind' | 'disconnected' | 'unavailable'} End
 */

/**
 * Opens one stream. Calls the callbacks later, never before it returns; it may call them even after the
 * stream was closed or has ended.
 *
 * @callback OpenSource
 * @param {URL} url
 * @param {(event: string, id: string, data: string) => void} onEvent `id`: the last one of the stream so far
 * @param {(end: 'broken' | 'refused', fault?: Fault) => void} onEnd
 * @param {Service} service
 * @returns {() => void} closes the stream
 */

/** @typedef {ReturnType<typeof openStream>} Stream */

/** A node that is behind the cursor may be silent for 5 s before it says so. */
const READY_MILLISECONDS = 7000;

/**
 * A stream is dead after 2.5 missing heartbeats: this many milliseconds for each second of their interval.
 */
const SILENCE_PER_SECOND = 2500;

/**
 * Networks and busy pages hold data back for some seconds, however short the interval of the heartbeats is.
 */
const MIN_SILENCE_MILLISECONDS = 10_000;

/** How often the clock is read, which goes on while the machine sleeps. */
const LOOK_MILLISECONDS = 1000;

/**
 * Opens a stream: one try, which notices silence and never reconnects by itself.
 *
 * @param {OpenSource} openSource
 * @param {URL} url
 * @param {Service} service
 * @param {(frame: Frame, silence: number) => void} onFrame `silence`: after how many milliseconds of silence
 *   the stream is dead
 * @param {(end: End, fault: Fault | undefined) => void} onEnd called once, unless the stream is closed first;
 *   with the fault if it is known
 */
export function openStream(openSource, url, service, onFrame, onEnd) {
  // Nothing needs to come before `ready`.
  let silence = READY_MILLISECONDS;
  let heard = Date.now();
  let hasEnded = false;
  /** @type {End} */
  let whenSilent = 'silent';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let late;
  const look = setInterval(check, LOOK_MILLISECONDS);
  /** @param {End} reason @param {Fault} [fault] */
  const endLater = (reason, fault) => void unlessLeft().then(() => end(reason, fault));
  const closeSource = openSource(url, receive, endLater, service);

  /** Ends the stream if it has been silent for too long. Call it when the machine may have slept. */
  function check() {
    const silent = Date.now() - heard;
    if (silent < 0) heard = Date.now();
    else if (silent > silence) end(whenSilent);
  }

  /** Closes the stream: no callback is called any more. */
  function close() {
    hasEnded = true;
    clearInterval(look);
    clearTimeout(late);
    closeSource();
  }

  /** @param {End} reason @param {Fault} [fault] */
  function end(reason, fault) {
    if (hasEnded) return;
    close();
    onEnd(reason, fault);
  }

  /**
   * @param {string} event
   * @param {string} lastId
   * @param {string} data
   */
  function receive(event, lastId, data) {
    if (hasEnded) return;
    heard = Date.now();
    if (event === 'ready') {
      const { heartbeatSeconds } = /** @type {{ heartbeatSeconds: number }} */ (parse(data));
      silence = Math.max(MIN_SILENCE_MILLISECONDS, heartbeatSeconds * SILENCE_PER_SECOND);
      whenSilent = 'quiet';
    }
    // Browsers delay the intervals of a hidden tab by up to a minute, but not a timer that an event has set.
    clearTimeout(late);
    late = setTimeout(check, silence + 1);
    // A frame without an id repeats the last one. A message that is not stored has no id in its data, either.
    const moves =
      event === 'message' ? data.startsWith('{"id":') : !['heartbeat', 'presence'].includes(event);
    onFrame({ event, id: moves ? lastId : '', data, at: heard }, silence);
    if (event === 'bye') end(/** @type {{ reason: End }} */ (parse(data)).reason);
  }

  return { check, close };
}

/** @param {string} json @returns {unknown} */
function parse(json) {
  return JSON.parse(json);
}

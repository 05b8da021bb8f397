/** @import { OpenSource } from './stream.js' */

/** The names of the service's events; an event without a name is a `message`. */
const NAMES = ['message', 'ready', 'live', 'heartbeat', 'presence', 'bye'];

/**
 * Opens a stream with the browser's EventSource, and the session cookie. It never reconnects by itself:
 * EventSource would, but not after a status other than 200, and not on a dead connection that the browser
 * does not notice.
 *
 * @type {OpenSource}
 */
export function openEventSource(url, onEvent, onEnd) {
  const source = new EventSource(url, { withCredentials: true });
  for (const name of NAMES) {
    source.addEventListener(name, (/** @type {MessageEvent<string>} */ { lastEventId, data }) =>
      onEvent(name, lastEventId, data),
    );
  }
  source.addEventListener('error', () => onEnd(source.readyState === source.CLOSED ? 'refused' : 'broken'));
  return () => source.close();
}

/** @import { OpenSource } from './stream.js' */

/** The events that the service names; one without a name is a `message`. */
const NAMES = ['message', 'ready', 'live', 'heartbeat', 'presence', 'bye'];

/**
 * Opens a stream by the browser's own EventSource, with the session cookie. It never comes back by itself: EventSource
 * would, but not after a status other than 200, and not on a dead connection of which it is not told.
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

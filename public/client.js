/**
 * The client as the service serves it: it knows the URL of its service, which is its own folder.
 *
 * ```js
 * import { connect } from '/client.js';
 * const inbox = connect({ recipient: 'alice', onMessage: (message) => show(message) });
 * await inbox.send({ recipient: 'bob', content: 'hi' });
 * ```
 */
import { connect as connectTo } from './client/connect.js';

export { Problem, Unreachable, Unsent } from './client/connect.js';

/** @typedef {import('./client/connect.js').Connection} Connection */
/** @typedef {import('./client/connect.js').Options} Options */
/** @typedef {import('./client/connect.js').Status} Status */

/**
 * Follows inboxes, and sends: `connect` of `client/connect.js`, with the URL of this service as the default of `url`.
 *
 * @param {Options} options
 * @returns {Connection}
 * @throws {TypeError} if an option is wrong, or `url` is missing in a copy of this file that no service serves
 */
export function connect(options) {
  const url = options.url ?? ownService(import.meta.url);
  return connectTo(url === undefined ? options : { ...options, url });
}

/** A module at the path `client.js` of a service; not an installed one that a development server serves. */
const SERVED = /^https?:(?![^?#]*\/node_modules\/)[^?#]*\/client\.js(?:[?#]|$)/;

/**
 * Returns the URL of the service that serves this module.
 *
 * @param {string | undefined} module the module's URL; some build tools leave none
 * @returns {URL | undefined} `undefined` if no service serves it: a build tool has put it into another file
 */
function ownService(module) {
  return module !== undefined && SERVED.test(module) ? new URL('.', module) : undefined;
}

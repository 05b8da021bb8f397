/**
 * The client as the service serves it. The URL of the service is the folder that this file is in.
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
 * Follows inboxes and sends messages. This is `connect` of `client/connect.js`; `url` defaults to the URL of
 * the service that serves this file.
 *
 * @param {Options} options
 * @returns {Connection} the connection, which opens by itself
 * @throws {TypeError} if an option is wrong, or if `url` is missing and no service serves this file
 */
export function connect(options) {
  const url = options.url ?? ownService(import.meta.url);
  return connectTo(url === undefined ? options : { ...options, url });
}

/** Matches the path `client.js` of a service, but not of a package that a development server serves. */
const SERVED = /^https?:(?![^?#]*\/node_modules\/)[^?#]*\/client\.js(?:[?#]|$)/;

/**
 * Returns the URL of the service that serves this module.
 *
 * @param {string | undefined} module the module's URL; some build tools remove it
 * @returns {URL | undefined} `undefined` if no service serves it: a build tool has moved it into another file
 */
function ownService(module) {
  return module !== undefined && SERVED.test(module) ? new URL('.', module) : undefined;
}

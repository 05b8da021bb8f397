/**
 * A server that takes publishes and sends them on over Server-Sent Events.
 *
 * @typedef {object} Peer
 * @property {string} name says also where messages are, but for this service
 * @property {string} durability where a message is when its publish is answered
 * @property {boolean} syncs whether it flushes the disk for each publish, or group of them, before it answers
 * @property {() => string | undefined} missing returns what to do if it is not installed
 * @property {() => string | undefined} [version] returns the version of the program that is started
 * @property {(kept?: number) => Promise<import('../server.js').Server>} start starts a new, empty one; `kept`: the
 *   messages of a recipient that must be kept, if that is bounded; `KEPT` if left out
 * @property {(port: number, recipient: string, contents: readonly string[], sender?: string) => string} publish returns
 *   a request: for a single message, or for a batch if there are several contents and it takes batches
 * @property {(port: number, recipients: readonly string[]) => string} stream returns a request
 * @property {(port: number, recipient: string) => string} [all] returns a request for a stream that begins with all
 *   messages that are kept, if there is one
 * @property {string} live a text in a stream after which new messages come
 * @property {boolean} chunked whether streams come in chunks
 * @property {boolean} inOrder whether it promises an order
 */

/** The messages of a recipient that are kept for devices that come back, if a server bounds them. */
export const KEPT = 10_000;

/**
 * @param {number} port
 * @param {string} path
 * @param {string} body
 * @param {string} type of the content
 */
export function post(port, path, body, type) {
  return (
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/**
 * @param {number} port
 * @param {string} path of an event stream
 */
export function get(port, path) {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n\r\n`;
}

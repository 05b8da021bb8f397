/**
 * Loaded into the service before it begins (`node --import`): looks at every byte that it writes to an event stream or a
 * WebSocket, whoever reads it: a browser, curl, a library, a proxy. What breaks the law is appended to the file that the
 * query of this module's URL names. It changes nothing of what is written.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { SocketLaw, StreamLaw } from './wire-law.js';

/** @typedef {{ req?: import('node:http').IncomingMessage }} CurrentResponse */
/** @typedef {Socket & { server?: unknown, _httpMessage?: CurrentResponse | null }} Accepted a socket of node:http */
/** @typedef {{ chunk: string | Buffer, encoding: BufferEncoding }} Piece */
/** @typedef {(writev: boolean, data: unknown, encoding: unknown, done: unknown) => void} WriteGeneric */

const report = decodeURIComponent(new URL(import.meta.url).search.slice(1));
const CURSOR = /^(\d{1,16})(?:-[0-9a-z]{1,16})?$/;

/** @type {WeakMap<Socket, StreamLaw | SocketLaw>} */
const laws = new WeakMap();

/** Where node:net hands over all that is written, in order, as it goes to the system. */
const prototype = /** @type {{ _writeGeneric: WriteGeneric }} */ (/** @type {unknown} */ (Socket.prototype));
const writeGeneric = prototype._writeGeneric;

/** @type {(this: Accepted, ...args: Parameters<WriteGeneric>) => void} */
prototype._writeGeneric = function (writev, data, encoding, done) {
  if (this.server !== undefined) {
    const pieces = /** @type {Piece[]} */ (writev ? data : [{ chunk: data, encoding }]);
    for (const { chunk, encoding: how } of pieces) take(this, chunk, how);
    const law = laws.get(this);
    if (law instanceof StreamLaw && law.isWithin) tell(['a write that ends within a block']);
  }
  writeGeneric.call(this, writev, data, encoding, done);
};

/** @param {Accepted} socket @param {string | Buffer} chunk @param {BufferEncoding} encoding */
function take(socket, chunk, encoding) {
  let bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
  let law = laws.get(socket);
  if (law === undefined) {
    const head = headOf(bytes);
    if (head === undefined) return;
    law = new (head.startsWith('HTTP/1.1 101 ') ? SocketLaw : StreamLaw)(broughtBy(socket._httpMessage?.req));
    laws.set(socket, law);
    bytes = bytes.subarray(head.length);
  }
  law.feed(bytes);
  tell(law.faults.splice(0));
}

/**
 * The head of an answer with which a stream begins; `undefined` of anything else. Each head is the beginning of a piece.
 *
 * @param {Buffer} bytes
 */
function headOf(bytes) {
  if (!/^HTTP\/1\.1 (101|200) $/.test(bytes.toString('latin1', 0, 13))) return undefined;
  const head = bytes.toString('latin1', 0, bytes.indexOf('\r\n\r\n') + 4);
  return head.startsWith('HTTP/1.1 101 ') || /^content-type: text\/event-stream/im.test(head)
    ? head
    : undefined;
}

/** The targets of requests as they came: a route may keep less of it. @type {WeakMap<object, string | undefined>} */
const targets = new WeakMap();
subscribe('http.server.request.start', (message) => {
  const { request } = /** @type {{ request: import('node:http').IncomingMessage }} */ (message);
  targets.set(request, request.url);
});

/** The id of the cursor that a request came with. @param {import('node:http').IncomingMessage | undefined} request */
function broughtBy(request) {
  if (request === undefined) return undefined;
  const [header = ''] = request.headersDistinct['last-event-id'] ?? [];
  const target = targets.get(request) ?? request.url ?? '';
  const query = new URLSearchParams(target.slice(target.indexOf('?') + 1)).get('lastEventId') ?? '';
  const [, id] = CURSOR.exec(header === '' ? query : header) ?? [];
  return id === undefined ? undefined : Number(id);
}

/** Writes faults at once: whoever reads one reads all of them. @param {readonly string[]} faults */
function tell(faults) {
  if (faults.length > 0) appendFileSync(report, faults.map((fault) => `${fault}\n`).join(''));
}

/**
 * Loaded into the service before it begins (`node --import`): looks at every byte that it writes to an event stream or a
 * WebSocket, whoever reads it: a browser, curl, a library, a proxy. All other answers, and all events, must be as the
 * description of the service has them. What breaks the law is appended to the file that the query of this module's URL
 * names. It changes nothing of what is written.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { AnswerReader } from './answer-reader.js';
import { Description } from './description.js';
import { SocketLaw, StreamLaw } from './wire-law.js';

/** @typedef {{ req?: import('node:http').IncomingMessage }} CurrentResponse */
/** @typedef {Socket & { server?: unknown, _httpMessage?: CurrentResponse | null }} Accepted a socket of node:http */
/** @typedef {{ chunk: string | Buffer, encoding: BufferEncoding }} Piece */
/** @typedef {(writev: boolean, data: unknown, encoding: unknown, done: unknown) => void} WriteGeneric */

const report = decodeURIComponent(new URL(import.meta.url).search.slice(1));
const CURSOR = /^(\d{1,16})(?:-[0-9a-z]{1,16})?$/;

/** Put beside this module by bundled-program.js: to make it takes longer than to read it. */
const document = /** @type {unknown} */ (
  JSON.parse(readFileSync(new URL('./openapi.json', import.meta.url), 'utf8'))
);
const description = new Description(/** @type {import('./description.js').Document} */ (document), {
  closed: true,
});

/** @type {WeakMap<Socket, StreamLaw | SocketLaw>} */
const laws = new WeakMap();

/** @type {WeakMap<Socket, AnswerReader>} */
const readers = new WeakMap();

/** Events that were looked at: what goes to a thousand streams is one. @type {WeakSet<object>} */
const judged = new WeakSet();

/** The functions by which node:net hands all written bytes to the system, in order. */
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
    let reader = readers.get(socket);
    if (reader === undefined) readers.set(socket, (reader = new AnswerReader()));
    const request = socket._httpMessage?.req;
    const head = reader.isWithin ? undefined : headOf(bytes);
    if (head === undefined) {
      const answers = reader.feed(bytes, { method: request?.method, path: pathOf(request) });
      for (const answer of answers) if (answer.status >= 200) tell(description.faultsOfAnswer(answer));
      return;
    }
    law = head.startsWith('HTTP/1.1 101 ') ? socketLaw(request) : streamLaw(request);
    laws.set(socket, law);
    bytes = bytes.subarray(head.length);
  }
  law.feed(bytes);
  tell(law.faults.splice(0));
}

/** @param {import('node:http').IncomingMessage | undefined} request */
function streamLaw(request) {
  const law = new StreamLaw(broughtBy(request), (said) => {
    if (judged.has(said)) return;
    judged.add(said);
    law.faults.push(...description.faultsOfStreamEvent(said));
  });
  return law;
}

/** @param {import('node:http').IncomingMessage | undefined} request */
function socketLaw(request) {
  /** @param {Record<string, unknown>} message */
  const judge = (message) => law.faults.push(...description.faultsOfSocketEvent(message));
  const law = new SocketLaw(
    broughtBy(request),
    ({ event, id, data, retry }) => judge(given({ event, id, data, retry })),
    judge,
  );
  return law;
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

/** The path of a request as it came, without its query. @param {import('node:http').IncomingMessage | undefined} request */
function pathOf(request) {
  if (request === undefined) return '';
  const target = (targets.get(request) ?? request.url ?? '').replace(/^https?:\/\/[^/?]*/i, '');
  return target.split('?', 1)[0] ?? '';
}

/** Returns an object without the fields that it does not have. @param {Record<string, unknown>} fields */
function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

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

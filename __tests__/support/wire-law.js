/**
 * The law of the wire: what the service may say on an event stream or a WebSocket, byte by byte, whoever reads it.
 *
 * It is stricter than the standards, where client libraries are: each rule is one that some client needs. Rights (who may
 * see what) are the fuzz's own law on top of it. Plain JavaScript, since wire-tap.js looks at the service from inside.
 */

/**
 * What was said once.
 *
 * @typedef {object} WireEvent
 * @property {string} event `message` for what has no event name
 * @property {string | undefined} id the cursor
 * @property {number | undefined} retry
 * @property {string} json the data as it came
 * @property {Record<string, unknown>} data
 */

/** @typedef {{ said?: WireEvent, fault?: string }} Reading what one block or frame says, or why it is none */

/** A cursor: the beginning, or an id with the tag of the run that gave it. */
const CURSOR = /^(?:0|[1-9]\d{0,15}-[0-9a-z]{6})$/;

/** The id last: clients that take it at once would lose a message whose data they have not got yet. */
const BLOCK = /^(?:event: ([a-z]+)\n)?(?:retry: (\d{1,9})\n)?data: (\{.*\})(?:\nid: (\S+))?$/;

/** The characters beside LF that end a line for some clients: CR, and those of Python and Swift. JSON escapes the others. */
const OTHER_LINE_ENDS = /[\r\v\f\u0085\u2028\u2029]/;

/** Go's bufio.Scanner takes no token of 64 KiB or more: a line, and for some clients (r3labs/sse) a block. */
const MAX_BLOCK_BYTES = 64 * 1024 - 1;

const GAPS = [false, 'purged', 'restored', 'unknown'];
const REASONS = [
  'shutdown',
  'token-expired',
  'too-slow',
  'over-limit',
  'unavailable',
  'behind',
  'disconnected',
];
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Whether a value is a time as the protocol shows it. @param {unknown} value */
const isTime = (value) => typeof value === 'string' && ISO.test(value);

/** Whether a value is a whole number of at least `least`. @param {unknown} value @param {number} least */
const isCount = (value, least = 0) => Number.isSafeInteger(value) && Number(value) >= least;

/** The id of a cursor. @param {string} cursor */
const idOf = (cursor) => Number(/^\d+/.exec(cursor)?.[0]);

/** The law of one connection, for any framing: each event has its form and its place in the order. */
class SayingLaw {
  /** @type {string[]} */
  faults = [];
  /** The position that the client came with. @type {number | undefined} */
  #brought;
  /** @type {Set<string>} */
  #names = new Set();
  #cursor = -1;
  #newest = -1;
  #stored = 0;

  /** @param {number | undefined} brought */
  constructor(brought) {
    this.#brought = brought;
  }

  /** @param {WireEvent} said */
  take(said) {
    const { event, id, retry, data } = said;
    for (const what of this.#faultsOf(said)) this.fault(what, said);
    if (id !== undefined) this.#cursor = Math.max(this.#cursor, idOf(id));
    if (event === 'message' && isCount(data['id'])) {
      this.#newest = Number(data['id']);
      this.#stored++;
    }
    if (retry !== undefined && !['ready', 'bye'].includes(event)) this.fault('a retry', said);
    this.#names.add(event);
  }

  /** @param {string} what @param {WireEvent} said */
  fault(what, { event, id, json }) {
    this.faults.push(`${what}: ${event} ${id ?? ''} ${json.slice(0, 500)}`);
  }

  /** @param {WireEvent} said @returns {Iterable<string>} */
  *#faultsOf({ event, id, retry, data }) {
    const isFirst = this.#names.size === 0;
    if (this.#names.has('bye')) yield 'after bye';
    if (isFirst && event !== 'ready' && event !== 'bye') yield 'before ready';
    if (id !== undefined && !CURSOR.test(id)) yield 'no cursor';
    if (id !== undefined && idOf(id) < this.#cursor) yield `back from ${this.#cursor}`;
    if (event !== 'message' && data['type'] !== event) yield 'another type';
    switch (event) {
      case 'message':
        yield* this.#faultsOfMessage(id, data);
        break;
      case 'ready':
        if (!isFirst) yield 'a second ready';
        if (id === undefined || data['cursor'] !== id) yield 'another cursor';
        if (!isCount(retry, 1000)) yield 'no retry';
        if (!GAPS.some((gap) => gap === data['gap'])) yield 'an unknown gap';
        if (!(Number(data['heartbeatSeconds']) > 0)) yield 'no heartbeatSeconds';
        if ('expiresAt' in data && !isTime(data['expiresAt'])) yield 'no time';
        if (this.#brought !== undefined && [false, 'purged'].some((gap) => gap === data['gap'])) {
          if (idOf(id ?? '') !== this.#brought) yield `another beginning than ${this.#brought}`;
        }
        break;
      case 'live':
        if (this.#names.has('live')) yield 'a second live';
        if (id === undefined || data['cursor'] !== id) yield 'another cursor';
        if (data['replayed'] !== this.#stored) yield `not ${this.#stored} replayed`;
        break;
      case 'heartbeat':
        if (id !== undefined) yield 'an id';
        if (!isTime(data['at'])) yield 'no time';
        break;
      case 'presence':
        if (id !== undefined) yield 'an id';
        if (typeof data['recipient'] !== 'string' || typeof data['online'] !== 'boolean') yield 'no presence';
        if (!isCount(data['devices'])) yield 'no count';
        if (data['lastSeen'] !== null && !isTime(data['lastSeen'])) yield 'no time';
        break;
      case 'bye':
        if (!REASONS.some((reason) => reason === data['reason'])) yield 'an unknown reason';
        if (!isCount(retry, 1000)) yield 'no retry';
        if (!isFirst && id === undefined) yield 'no id';
        break;
      default:
        yield 'an unknown event';
    }
  }

  /** @param {string | undefined} id @param {Record<string, unknown>} data @returns {Iterable<string>} */
  *#faultsOfMessage(id, data) {
    const isStored = id !== undefined;
    if (isStored !== 'id' in data) yield 'an id in one place alone';
    if (isStored && data['id'] !== idOf(id)) yield 'two ids';
    if (isStored && idOf(id) <= this.#newest) yield `again, after ${this.#newest}`;
    if (!isStored && !this.#names.has('live')) yield 'an ephemeral message before live';
    for (const name of ['sender', 'recipient', 'type']) {
      if (typeof data[name] !== 'string') yield `no ${name}`;
    }
    if (!('content' in data)) yield 'no content';
    if (!isTime(data['createdAt'])) yield 'no time';
  }
}

/** The law of an event stream: the bytes of the body of its response. */
export class StreamLaw {
  #saying;
  #onEvent;
  #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #rest = '';

  /**
   * @param {number | undefined} brought the id of the cursor that the client came with
   * @param {(said: WireEvent) => void} [onEvent] told of each event
   */
  constructor(brought, onEvent) {
    this.#saying = new SayingLaw(brought);
    this.#onEvent = onEvent;
  }

  /** The faults so far, in order. */
  get faults() {
    return this.#saying.faults;
  }

  /** Whether it is in the middle of a block. */
  get isWithin() {
    return this.#rest !== '';
  }

  /** @param {Uint8Array} bytes what came next */
  feed(bytes) {
    for (const { said, fault } of this.#read(bytes)) {
      if (fault !== undefined) this.faults.push(fault);
      if (said === undefined) continue;
      this.#saying.take(said);
      this.#onEvent?.(said);
    }
  }

  /** @param {Uint8Array} bytes @returns {readonly Reading[]} */
  #read(bytes) {
    // Bytes that go to a thousand streams are read once.
    const known = this.#rest === '' ? readings.get(bytes) : undefined;
    if (known !== undefined) return known;
    const isFresh = this.#rest === '';
    let piece;
    try {
      piece = this.#decoder.decode(bytes, { stream: true });
    } catch {
      this.#decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      return [{ fault: `not UTF-8: ${Buffer.from(bytes).toString('latin1').slice(0, 500)}` }];
    }
    const blocks = (this.#rest + piece).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    const read = blocks.map(readBlock);
    if (OTHER_LINE_ENDS.test(piece))
      read.push({ fault: `a line end other than LF: ${JSON.stringify(piece.slice(0, 500))}` });
    if (isFresh && this.#rest === '') readings.set(bytes, read);
    return read;
  }
}

/** @type {WeakMap<Uint8Array, readonly Reading[]>} */
const readings = new WeakMap();

/** @param {string} block without the empty line that ends it @returns {Reading} */
function readBlock(block) {
  const shown = JSON.stringify(block.slice(0, 500));
  const lines = block.split('\n');
  if (lines.some((line) => line.startsWith(':'))) return { fault: `a comment: ${shown}` };
  const data = lines.filter((line) => line.startsWith('data'));
  if (data.length !== 1) return { fault: `${data.length} lines of data: ${shown}` };
  if (block.length > MAX_BLOCK_BYTES / 3 && Buffer.byteLength(block) + 2 > MAX_BLOCK_BYTES)
    return { fault: `64 KiB or more: ${shown}` };
  const [, event = 'message', retry, json, id] = BLOCK.exec(block) ?? [];
  if (json === undefined) return { fault: `no block of event, retry, data and id: ${shown}` };
  const value = parse(json);
  if (value === undefined) return { fault: `no JSON object: ${shown}` };
  return { said: { event, id, retry: retry === undefined ? undefined : Number(retry), json, data: value } };
}

/** @param {string} json @returns {Record<string, unknown> | undefined} */
function parse(json) {
  try {
    /** @type {unknown} */
    const value = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? /** @type {Record<string, unknown>} */ (value)
      : undefined;
  } catch {
    return undefined;
  }
}

const FIN = 0x80;
const TEXT = 0x1;
const CLOSE = 0x8;
const CONTROL = new Set([CLOSE, 0x9, 0xa]);
const MAX_CONTROL_BYTES = 125;
const SAID_FIELDS = /^event(,id)?,data(,retry)?$/;
const ANSWER_FIELDS = /^event(,ref)?,data(,retry)?$/;

/**
 * The law of a WebSocket: the bytes behind its 101. Its messages say what the blocks of a stream say, and answers.
 */
export class SocketLaw {
  #saying;
  #onEvent;
  #onAnswer;
  /** @type {Buffer} */
  #rest = Buffer.alloc(0);
  #isClosed = false;

  /**
   * @param {number | undefined} brought the id of the cursor that the client came with
   * @param {(said: WireEvent) => void} [onEvent] told of each event
   * @param {(answer: Record<string, unknown>) => void} [onAnswer] told of each answer to a publish
   */
  constructor(brought, onEvent, onAnswer) {
    this.#saying = new SayingLaw(brought);
    this.#onEvent = onEvent;
    this.#onAnswer = onAnswer;
  }

  /** The faults so far, in order. */
  get faults() {
    return this.#saying.faults;
  }

  /** Whether it is in the middle of a frame. */
  get isWithin() {
    return this.#rest.length > 0;
  }

  /** @param {Uint8Array} bytes what came next */
  feed(bytes) {
    const next = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#rest = this.#rest.length === 0 ? next : Buffer.concat([this.#rest, next]);
    for (
      let length = frameLength(this.#rest);
      length <= this.#rest.length;
      length = frameLength(this.#rest)
    ) {
      this.#take(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
  }

  /** @param {Buffer} frame */
  #take(frame) {
    const [first = 0, second = 0] = frame;
    const opcode = first & 0xf;
    const header = headerLength(second);
    const payload = frame.subarray(header);
    const shown = frame.toString('latin1').slice(0, 500);
    if (this.#isClosed) this.faults.push(`behind the close frame: ${shown}`);
    if ((first & 0xf0) !== FIN) this.faults.push(`a fragment, or reserved bits: ${shown}`);
    if (second >= 0x80) this.faults.push(`a mask: ${shown}`);
    if (
      header !== headerLength(payload.length <= MAX_CONTROL_BYTES ? 0 : payload.length <= 0xffff ? 126 : 127)
    )
      this.faults.push(`a length that is not the shortest: ${shown}`);
    if (CONTROL.has(opcode)) {
      if (payload.length > MAX_CONTROL_BYTES) this.faults.push(`a long control frame: ${shown}`);
      this.#isClosed = opcode === CLOSE;
    } else if (opcode === TEXT) {
      this.#takeText(payload);
    } else {
      this.faults.push(`an opcode of its own: ${shown}`);
    }
  }

  /** @param {Buffer} payload */
  #takeText(payload) {
    const shown = payload.toString().slice(0, 500);
    let text;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
    } catch {
      this.faults.push(`not UTF-8: ${shown}`);
      return;
    }
    const message = parse(text);
    if (message === undefined) {
      this.faults.push(`no JSON object: ${shown}`);
      return;
    }
    const { event, id, retry, data } = message;
    const isAnswer = event === 'published' || event === 'refused';
    if (!(isAnswer ? ANSWER_FIELDS : SAID_FIELDS).test(Object.keys(message).join()))
      this.faults.push(`other fields: ${shown}`);
    if (typeof data !== 'object' || data === null) {
      this.faults.push(`no data: ${shown}`);
    } else if (isAnswer) {
      if (event === 'published' && retry !== undefined) this.faults.push(`a retry: ${shown}`);
      this.#onAnswer?.(message);
    } else {
      const said = /** @type {WireEvent} */ ({
        event,
        id,
        retry,
        data,
        // Asked for where there is a fault, or by the fuzz.
        get json() {
          return JSON.stringify(data);
        },
      });
      this.#saying.take(said);
      this.#onEvent?.(said);
    }
  }
}

/** How long a header is, by its second byte. @param {number} second */
function headerLength(second) {
  const short = second & 0x7f;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

/** How long the first frame is; Infinity if its header is not all there. @param {Buffer} bytes */
function frameLength(bytes) {
  const [, second] = bytes;
  if (second === undefined) return Infinity;
  const header = headerLength(second);
  if (bytes.length < header) return Infinity;
  if (header === 2) return header + (second & 0x7f);
  return header + (header === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)));
}

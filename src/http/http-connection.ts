import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { readingTurns } from '../wire/reading-turns.ts';
import { LOOK_MILLISECONDS, StalledPeer } from '../wire/stalled-peer.ts';
import { markUnwatched } from './unwatched.ts';

/** Without this time, a client that is still sending would lose its refusal to a reset (RFC 9112 §9.6). */
const LINGER_MILLISECONDS = 1000;

/**
 * The limit on parsed requests that wait on one connection; each takes 2 KiB of memory besides its header. When the total
 * over all connections is reached, only one may wait on each.
 */
const MAX_WAITING = 512;
const MAX_WAITING_TOTAL = 16 * MAX_WAITING;

/**
 * node:http hands over a body in the pieces in which it arrives, and each chunk separately. A piece costs as much as a few
 * kilobytes. After this many, nothing is read for a turn.
 */
const PIECES_IN_TURN = 1024;

/** A body of more pieces is refused if they have fewer bytes on average. 4 MiB in chunks of 256 bytes are allowed. */
export const MAX_PIECES = 16 * 1024;
export const MIN_PIECE_BYTES = 128;

/** A request and its response. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** The handler of a connection's requests, and callbacks for its events. */
export interface HttpConnectionParts {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** The number of requests that wait on all connections. */
  readonly waiting: { total: number };
  /** Called when a request is about to be handled, and when none is under way any more. */
  readonly onBusy: (socket: Socket) => void;
  readonly onIdle: (socket: Socket) => void;
  /** Called when the connection is ended because a body came in too many pieces. */
  readonly onUnreadable: () => void;
  /** Called when the connection is cut because its client does not accept its answer. */
  readonly onStalled: () => void;
  /** The time between two checks of unsent bytes. */
  readonly lookMilliseconds?: number;
  /** The whole response to a body in too many pieces. */
  readonly tooManyPieces: string;
}

/**
 * An HTTP connection, with one request under way at a time. The next one is handled when the operating system has accepted
 * the previous answer, so a client that sends requests and reads no answers costs the memory of one answer. node:http parses
 * up to 64 KiB at a time, and hands over all requests in it at once: they wait here, and nothing more is read until none waits.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #parts: HttpConnectionParts;
  readonly #waiting: Exchange[] = [];
  #underWay: Exchange | undefined;
  /** The newest request that was handled. Its body may still be arriving after its answer. */
  #newest: IncomingMessage | undefined;
  #hasServed = false;
  #peer: StalledPeer | undefined;
  /** Ends the connection after the answers that are due: whatever else arrives is ignored. */
  #end: (() => void) | undefined;
  #isWatchingReads = false;
  /** Whether it has used up its share of this turn of the event loop. */
  #isResting = false;
  /** The request whose body is arriving, and how much of it has arrived. */
  #arriving: IncomingMessage | undefined;
  #pieces = 0;
  #bytes = 0;

  constructor(socket: Socket, parts: HttpConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#lingerAfterEarlyAnswers();
  }

  /** Whether every request so far is answered. */
  get isFree(): boolean {
    return this.#underWay === undefined;
  }

  /**
   * Whether another request is accepted. A request after the last one must not be processed (RFC 9112 §9.6), and only a
   * limited number may wait. A client may send the others again (RFC 9112 §9.3.2).
   */
  get isOpen(): boolean {
    const max = this.#parts.waiting.total < MAX_WAITING_TOTAL ? MAX_WAITING : 1;
    if (this.#end !== undefined || this.#waiting.length >= max) return false;
    const newest = this.#waiting.at(-1) ?? this.#underWay;
    return newest === undefined || newest.response.shouldKeepAlive;
  }

  /** Handles a request: now if none is under way, else after the answers before it. */
  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#underWay === undefined) {
      this.#begin({ request, response });
      return;
    }
    this.#waiting.push({ request, response });
    this.#parts.waiting.total++;
    this.#stopReading();
    this.#markUnwatched();
  }

  /** Counts a piece of a body, whether anyone reads the body or not. */
  pieceArrived(request: IncomingMessage, bytes: number): void {
    if (this.#arriving !== request) {
      this.#arriving = request;
      this.#pieces = 0;
      this.#bytes = 0;
    }
    this.#pieces++;
    this.#bytes += bytes;
    if (this.#pieces % PIECES_IN_TURN === 0) this.#rest();
    const areTooMany = this.#pieces > MAX_PIECES && this.#bytes < this.#pieces * MIN_PIECE_BYTES;
    if (areTooMany && this.#end === undefined) this.#refuseBody(request);
  }

  /**
   * Ends the connection because the bytes on it are not a request, or did not arrive in time. Answers that are due come
   * first. Does nothing if the connection is ending already.
   *
   * @param answer a whole response, as bytes
   */
  refuse(answer: string): void {
    if (this.#end !== undefined) return;
    const end = (): void => endWith(this.#socket, answer);
    if (this.#underWay?.request.complete !== true) {
      // The fault is in the newest request, if any. It gets one answer.
      const response = this.#underWay?.response;
      if (response === undefined && this.#newest?.complete === false) endWith(this.#socket, '');
      else if (response?.headersSent !== true) end();
      else if (response.writableEnded) this.#endAfterAnswers(() => endWith(this.#socket, ''));
      else this.#socket.destroy();
      return;
    }
    while (this.#waiting.at(-1)?.request.complete === false) this.#keepWaiting(this.#waiting.length - 1);
    this.#endAfterAnswers(end);
  }

  /**
   * Ends the connection after the answers that are due. Call it when node:http has handed the connection over and
   * removed its listeners: nothing that arrives from then on is even parsed.
   */
  leave(): void {
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('timeout', () => {
      this.#underWay?.response.emit('timeout', this.#socket);
      this.onTimeout();
    });
    const newest = this.#waiting.at(-1) ?? this.#underWay;
    if (newest === undefined) {
      this.#socket.destroy();
      return;
    }
    if (!newest.response.headersSent) newest.response.shouldKeepAlive = false;
    this.#endAfterAnswers(() => endWith(this.#socket, ''));
  }

  /** Checks a socket on which nothing has happened until its timeout. */
  onTimeout(): void {
    const response = this.#underWay?.response;
    if (response === undefined) {
      // The connection was kept alive long enough. A client that has not sent a request yet has more time for its header.
      if (this.#hasServed) this.#socket.destroy();
      return;
    }
    // A stream looks after itself.
    if (response.listenerCount('timeout') > 0 || this.#socket.writableLength === 0) return;
    const { lookMilliseconds = LOOK_MILLISECONDS, onStalled } = this.#parts;
    this.#peer ??= new StalledPeer(this.#socket, lookMilliseconds);
    if (this.#peer.look()) {
      onStalled();
      this.#socket.destroy();
    } else {
      this.#socket.setTimeout(lookMilliseconds);
    }
  }

  #begin(exchange: Exchange): void {
    this.#follow(exchange);
    this.#parts.handle(exchange.request, exchange.response);
  }

  #follow(exchange: Exchange): void {
    const { request, response } = exchange;
    this.#underWay = exchange;
    this.#newest = request;
    this.#hasServed = true;
    this.#parts.onBusy(this.#socket);
    if (request.headers['transfer-encoding'] !== undefined) {
      // If nobody reads a body, node:http takes its pieces without handing them over.
      response.prependOnceListener('finish', () => request.resume());
    }
    // Emitted after 'finish', or when the connection is gone.
    response.once('close', () => this.#next(exchange));
  }

  #next({ response }: Exchange): void {
    this.#underWay = undefined;
    const mayGoOn = response.shouldKeepAlive && !this.#socket.destroyed;
    const [next] = mayGoOn ? this.#waiting.splice(0, 1) : [];
    if (next === undefined) {
      this.#keepWaiting(0);
      if (mayGoOn) this.#parts.onIdle(this.#socket);
      if (mayGoOn) this.#end?.();
      return;
    }
    this.#parts.waiting.total--;
    this.#follow(next);
    if (this.#waiting.length > 0 || this.#end !== undefined) this.#markUnwatched();
    // It is not handled at once: hundreds may be waiting, and all would be answered in one turn.
    readingTurns.wait(() => {
      if (this.#underWay !== next) return;
      this.#parts.handle(next.request, next.response);
      // A stream has said by now that its request is the last one.
      if (!next.response.shouldKeepAlive) this.#keepWaiting(0);
      if (!this.#holdsReading) this.#socket.resume();
    });
  }

  /** Stops reading until it is its turn again. */
  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#stopReading();
    readingTurns.wait(() => {
      this.#isResting = false;
      if (!this.#holdsReading) this.#socket.resume();
    });
  }

  /** Keeps the connection open for a while after an early answer: node:http would cut it even in the middle of a body. */
  #lingerAfterEarlyAnswers(): void {
    const destroySoon = this.#socket.destroySoon.bind(this.#socket);
    this.#socket.destroySoon = (): void => {
      if (this.#underWay?.request.complete === false) endWith(this.#socket, '');
      else destroySoon();
    };
  }

  /** Ends the connection without reading a body to its end. */
  #refuseBody(request: IncomingMessage): void {
    this.#parts.onUnreadable();
    if (this.#underWay?.request === request) this.refuse(this.#parts.tooManyPieces);
    // It is answered already.
    else endWith(this.#socket, '');
    if (this.#end === undefined) this.#endAfterAnswers(() => undefined);
  }

  #endAfterAnswers(end: () => void): void {
    this.#end = end;
    this.#stopReading();
    this.#markUnwatched();
  }

  /** Drops the waiting requests, except the first `count`. */
  #keepWaiting(count: number): void {
    this.#parts.waiting.total -= this.#waiting.length - count;
    this.#waiting.length = count;
  }

  #markUnwatched(): void {
    if (this.#underWay !== undefined) markUnwatched(this.#underWay.request);
  }

  get #holdsReading(): boolean {
    return this.#waiting.length > 0 || this.#isResting || this.#end !== undefined;
  }

  /**
   * Stops reading. node:http starts it again at the end of each request that it parses, and when a body is consumed;
   * then it must be stopped again.
   */
  #stopReading(): void {
    // This waits until node:http has parsed the piece: a socket that is already paused emits no second event.
    process.nextTick(() => {
      if (this.#holdsReading) this.#socket.pause();
    });
    if (this.#isWatchingReads) return;
    this.#isWatchingReads = true;
    this.#socket.on('resume', () => {
      if (!this.#holdsReading) return;
      // A socket that was paused between `resume` and this event is still being read: resume it, so that it can be paused.
      if (this.#socket.isPaused()) this.#socket.resume();
      else this.#socket.pause();
    });
  }
}

/** Sends a last answer and closes. A client that keeps its side open must not keep the descriptor. */
export function endWith(socket: Socket, answer: string): void {
  socket.end(answer);
  const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS).unref();
  socket.once('close', () => clearTimeout(timer));
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { rawProblem } from './http/problem.ts';
import { readingTurns } from './reading-turns.ts';
import { LOOK_MILLISECONDS, StalledPeer } from './stream/stalled-peer.ts';
import { tellUnwatched } from './unwatched.ts';

/** A client that is still sending would lose the answer that refuses it to a reset (RFC 9112 §9.6). */
const LINGER_MILLISECONDS = 1000;

/**
 * Parsed requests that wait on one connection; each is 2 KiB of memory beside its header. If that many times more wait on
 * all connections, one may on each.
 */
const MAX_WAITING = 512;
const MAX_WAITING_IN_ALL = 16 * MAX_WAITING;

/**
 * node:http hands over a body in the pieces in which it comes, each chunk by itself, and each costs as much as some
 * kilobytes do. After so many nothing is read for a turn.
 */
const PIECES_IN_TURN = 1024;

/** A body of more pieces is refused if they have fewer bytes on average. 4 MiB in chunks of 256 bytes are well within. */
const MAX_PIECES = 16 * 1024;
const MIN_PIECE_BYTES = 128;

const TOO_MANY_PIECES = rawProblem(
  413,
  `The body came in more than ${MAX_PIECES} pieces of less than ${MIN_PIECE_BYTES} bytes each. Send it in larger chunks.`,
);

/** A request, and where its answer goes. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Where the requests of a connection go, and what is told of it. */
export interface HttpConnectionParts {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** How many requests wait on all connections. */
  readonly waiting: { inAll: number };
  /** Called when a request begins to be handled, and when nothing is under way any more. */
  readonly onBusy: (socket: Socket) => void;
  readonly onIdle: (socket: Socket) => void;
  /** Called when the connection is ended because a body came in too many pieces. */
  readonly onUnreadable: () => void;
  /** Called when the connection is cut because its client takes no answer. */
  readonly onStalled: () => void;
  /** How often unsent bytes are looked at. */
  readonly lookMilliseconds?: number;
}

/**
 * A connection that speaks HTTP, with one request under way at a time. The next one is handled when the answer before it
 * was handed to the system, so a client that sends requests and takes no answers costs one answer.
 *
 * node:http parses whatever came in one piece, up to 64 KiB, and hands over every request in it at once. Those wait
 * here, and nothing more is read while any does.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #parts: HttpConnectionParts;
  readonly #waiting: Exchange[] = [];
  #underWay: Exchange | undefined;
  #hasServed = false;
  #peer: StalledPeer | undefined;
  /** Ends the connection after the answers that are due: nothing more of what comes is looked at. */
  #end: (() => void) | undefined;
  #isWatchingReads = false;
  /** Whether it has had its share of this turn of the event loop. */
  #isResting = false;
  /** The request whose body came last, and what came of it. */
  #arriving: IncomingMessage | undefined;
  #pieces = 0;
  #bytes = 0;

  constructor(socket: Socket, parts: HttpConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
  }

  /** Whether every request so far is answered. */
  get isFree(): boolean {
    return this.#underWay === undefined;
  }

  /**
   * Whether a further request is taken: not behind a last one, which is not to be processed (RFC 9112 §9.6), nor if too
   * many wait. A client may send those again (RFC 9112 §9.3.2).
   */
  get isOpen(): boolean {
    const most = this.#parts.waiting.inAll < MAX_WAITING_IN_ALL ? MAX_WAITING : 1;
    if (this.#end !== undefined || this.#waiting.length >= most) return false;
    const newest = this.#waiting.at(-1) ?? this.#underWay;
    return newest === undefined || newest.response.shouldKeepAlive;
  }

  /** Handles a request now if nothing is under way, else when the answers before it are out. */
  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#underWay === undefined) {
      this.#begin({ request, response });
      return;
    }
    this.#waiting.push({ request, response });
    this.#parts.waiting.inAll++;
    this.#stopReading();
    this.#tellUnwatched();
  }

  /** Takes note of a piece of a body, whether anyone reads that or not. */
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
   * Ends the connection because what came on it is no request, or did not arrive in time. Answers that are due come
   * first. Nothing is done if the connection is ending already.
   *
   * @param answer a whole response, as bytes
   */
  refuse(answer: string): void {
    if (this.#end !== undefined) return;
    const end = (): void => endWith(this.#socket, answer);
    if (this.#underWay?.request.complete !== true) {
      // The fault is in the request that is under way, if any. It gets one answer.
      const response = this.#underWay?.response;
      if (response?.headersSent !== true) end();
      else if (response.writableEnded) this.#endAfterAnswers(() => endWith(this.#socket, ''));
      else this.#socket.destroy();
      return;
    }
    while (this.#waiting.at(-1)?.request.complete === false) this.#keepWaiting(this.#waiting.length - 1);
    this.#endAfterAnswers(end);
  }

  /**
   * Ends the connection after the answers that are due. To be called when node:http has handed the connection over, and
   * has taken its listeners away: what comes behind this is not even parsed.
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

  /** Looks at a socket on which nothing has happened for the time of its timeout. */
  onTimeout(): void {
    const response = this.#underWay?.response;
    if (response === undefined) {
      // Kept alive for long enough. A client that has not sent anything yet has the time for a header.
      if (this.#hasServed) this.#socket.destroy();
      return;
    }
    // A stream looks for itself.
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
    this.#hasServed = true;
    this.#parts.onBusy(this.#socket);
    if (request.headers['transfer-encoding'] !== undefined) {
      // Of a body that nobody reads node:http would take the pieces without handing them over.
      response.prependOnceListener('finish', () => request.resume());
    }
    // Comes after 'finish', or when the connection is gone.
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
    this.#parts.waiting.inAll--;
    this.#follow(next);
    if (this.#waiting.length > 0 || this.#end !== undefined) this.#tellUnwatched();
    // Not now: hundreds may wait, and be answered at once.
    readingTurns.wait(() => {
      if (this.#underWay !== next) return;
      this.#parts.handle(next.request, next.response);
      // Known to be a last one by now, if it is a stream.
      if (!next.response.shouldKeepAlive) this.#keepWaiting(0);
      if (!this.#holdsReading) this.#socket.resume();
    });
  }

  /** Reads nothing more until it is its turn again. */
  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#stopReading();
    readingTurns.wait(() => {
      this.#isResting = false;
      if (!this.#holdsReading) this.#socket.resume();
    });
  }

  /** Ends the connection at a body that is not to be read to its end. */
  #refuseBody(request: IncomingMessage): void {
    this.#parts.onUnreadable();
    if (this.#underWay?.request === request) this.refuse(TOO_MANY_PIECES);
    // It was answered before.
    else endWith(this.#socket, '');
    if (this.#end === undefined) this.#endAfterAnswers(() => undefined);
  }

  #endAfterAnswers(end: () => void): void {
    this.#end = end;
    this.#stopReading();
    this.#tellUnwatched();
  }

  /** Drops those that wait but for the first so many. */
  #keepWaiting(count: number): void {
    this.#parts.waiting.inAll -= this.#waiting.length - count;
    this.#waiting.length = count;
  }

  #tellUnwatched(): void {
    if (this.#underWay !== undefined) tellUnwatched(this.#underWay.request);
  }

  get #holdsReading(): boolean {
    return this.#waiting.length > 0 || this.#isResting || this.#end !== undefined;
  }

  /**
   * Stops reading. node:http starts it again at the end of each request that it parses, and when a body is consumed; it
   * is to be stopped again then.
   */
  #stopReading(): void {
    // Not before the piece that is being parsed is done: a socket that is paused already does not say so again.
    process.nextTick(() => {
      if (this.#holdsReading) this.#socket.pause();
    });
    if (this.#isWatchingReads) return;
    this.#isWatchingReads = true;
    this.#socket.on('resume', () => {
      if (!this.#holdsReading) return;
      // One that was paused between `resume` and this event is being read all the same: it has to be resumed to be paused.
      if (this.#socket.isPaused()) this.#socket.resume();
      else this.#socket.pause();
    });
  }
}

/** Sends a last answer and closes: a client that keeps its side open is not to keep the descriptor. */
export function endWith(socket: Socket, answer: string): void {
  socket.end(answer);
  setTimeout(() => socket.destroy(), LINGER_MILLISECONDS).unref();
}

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { ArrivingHeaders } from './arriving-headers.ts';
import { endWith, HttpConnection, type HttpConnectionParts } from './http-connection.ts';
import { tooManyHeaders, tooManyPieces, unreadableAnswer } from './unreadable.ts';
import { IdleConnections } from './idle-connections.ts';
import { listenError } from './listen-error.ts';
import { LOOK_MILLISECONDS } from '../wire/stalled-peer.ts';
import type { Upgrade } from '../ws/handshake.ts';
import { canAcceptHandshake, upgradeable } from './upgradeable.ts';

const HEADERS_MILLISECONDS = 10_000;
const REQUEST_MILLISECONDS = 30_000;

/**
 * The longest header: 16 KiB of fields (check-header.ts), and the rest for the target, with 100 addresses to follow and 100
 * to watch (protocol.md). Each address has up to 128 code points of 12 bytes, as in `%F0%9F%8C%8A`, and its name before it.
 */
export const MAX_HEADER_BYTES = 320 * 1024;

/**
 * A proxy should close a connection without a request before the service does. A publish that it sends while the service
 * closes is lost, and a proxy does not repeat it (RFC 9110 §9.2.2). nginx and many others wait 60 s.
 */
const KEEP_ALIVE_MILLISECONDS = 75_000;

/**
 * The number of connections kept free for new clients: half of those reserved for requests (config/open-files.ts), but at
 * most a quarter of all. If fewer are free, idle connections are closed, and later ones are kept alive for less time.
 */
const FEW_CONNECTIONS = 96;
const ROOM_MILLISECONDS = 1000;
const FEW_KEEP_ALIVE_MILLISECONDS = 5000;

/** The pause between two searches for idle connections while the server closes. */
const IDLE_MILLISECONDS = 20;

/** A handler of all requests. For a handshake there is `upgrade`: the response refuses it, or the socket is taken over. */
export type Listener = (
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: Upgrade | undefined,
) => void;

/**
 * The HTTP server. It opens its port before it has a listener, so that a port in use is known before anything else is
 * touched. Requests that arrive before `serve` is called wait for it.
 */
export class HttpServer {
  /** Connections ended because of their input: not HTTP, too long a header, a slow request, a body in too many pieces. */
  unreadable = 0;
  /** Connections that were cut because their clients did not accept an answer. */
  stalled = 0;
  readonly #server: Server;
  readonly #connections = new WeakMap<Socket, HttpConnection>();
  /** Connections that node:http has handed over, and no longer knows. */
  readonly #handedOver = new Set<Socket>();
  readonly #parts: HttpConnectionParts;
  /** Connections that have had no request yet, and those that are kept alive for another one. */
  readonly #fresh = new IdleConnections();
  readonly #kept = new IdleConnections();
  /** Recently answered connections. Under load, most have their next request before the next search for idle ones. */
  readonly #answered = new Set<Socket>();
  readonly #headers = new ArrivingHeaders();
  #timer: NodeJS.Timeout | undefined;
  #waiting: Parameters<Listener>[] = [];
  #listener: Listener = (...exchange) => void this.#waiting.push(exchange);

  private constructor(maxConnections: number, lookMilliseconds: number, basePath: string) {
    this.#parts = {
      handle: (request, response) => this.#listener(request, response, undefined),
      waiting: { total: 0 },
      onBusy: (socket) => this.#forget(socket),
      onIdle: (socket) => this.#answered.add(socket),
      onUnreadable: () => {
        this.unreadable++;
      },
      onStalled: () => {
        this.stalled++;
      },
      lookMilliseconds,
      tooManyPieces: tooManyPieces(basePath),
    };
    const refusal = tooManyHeaders(basePath);
    this.#server = createServer(
      {
        IncomingMessage: upgradeable((socket) => this.#of(socket), this.#headers),
        maxHeaderSize: MAX_HEADER_BYTES,
        // The listener checks that, and answers with a problem.
        requireHostHeader: false,
        // A slow request is ended with 408. This is checked every second.
        headersTimeout: HEADERS_MILLISECONDS,
        requestTimeout: REQUEST_MILLISECONDS,
        connectionsCheckingInterval: 1000,
        // A peer that vanished is noticed when TCP gives up on it.
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
      },
      (request, response) => {
        this.#headers.arrived(request.socket);
        this.#of(request.socket).take(request, response);
      },
    );
    // When a socket has been silent for this long, its unsent bytes are checked.
    this.#server.timeout = lookMilliseconds;
    this.#server.on('timeout', (socket: Socket) => this.#of(socket).onTimeout());
    // node:http would drop further fields silently. The listener counts them itself.
    this.#server.maxHeadersCount = 0;
    // Further connections are closed at once. Without a free descriptor, not even that would be possible.
    this.#server.maxConnections = maxConnections;
    this.#server.on('connection', (socket: Socket) => {
      this.#fresh.add(socket);
      this.#headers.add(socket, () => this.#refuseHeader(socket, refusal));
      socket.once('close', () => {
        this.#forget(socket);
        this.#headers.delete(socket);
      });
      this.#makeRoom();
    });
    // An expectation other than 100-continue may be ignored (RFC 9110 §10.1.1).
    this.#server.on('checkExpectation', (...exchange) => this.#server.emit('request', ...exchange));
    const handOver = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
      this.#handedOver.add(socket);
      this.#forget(socket);
      this.#headers.delete(socket);
      socket.once('close', () => this.#handedOver.delete(socket));
      const connection = this.#of(socket);
      if (canAcceptHandshake(request, connection)) this.#upgrade(request, socket, head);
      else connection.leave();
    };
    this.#server.on('upgrade', handOver).on('connect', handOver);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const isFault = /^(HPE_|ERR_HTTP_REQUEST_TIMEOUT$)/.test(error.code ?? '');
      if (isFault) this.unreadable++;
      if (isFault && socket.writable) this.#of(socket).refuse(unreadableAnswer(error.code, basePath));
      else socket.destroy();
    });
  }

  /**
   * Opens a server on a port. Close it with `close`.
   *
   * @param port 0 for any free one
   * @param maxConnections how many connections may be open at once
   * @param basePath the prefix of this service's paths, as clients see them
   * @param lookMilliseconds pause between two checks of an answer with unsent bytes: after six to seven, its client is cut
   * @throws {StartError} if the port cannot be used; then nothing is open
   */
  static async listen(
    host: string,
    port: number,
    maxConnections: number,
    {
      basePath = '',
      lookMilliseconds = LOOK_MILLISECONDS,
    }: { basePath?: string; lookMilliseconds?: number } = {},
  ): Promise<HttpServer> {
    const http = new HttpServer(maxConnections, lookMilliseconds, basePath);
    await new Promise<void>((resolve, reject) => {
      http.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      http.#server.listen({ host, port, backlog: 4096 }, resolve);
    });
    http.#timer = setInterval(() => http.#makeRoom(), ROOM_MILLISECONDS).unref();
    http.#headers.start();
    return http;
  }

  /** The URL at which it listens, without a slash at its end. */
  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  /** Hands all requests to a listener from now on, beginning with those that wait. */
  serve(listener: Listener): void {
    this.#listener = listener;
    for (const [request, response, upgrade] of this.#waiting) {
      if (!request.socket.destroyed) listener(request, response, upgrade);
    }
    this.#waiting = [];
  }

  /** Closes the port, and waits at most this long for open connections to end. The others are cut then. */
  async close(milliseconds: number): Promise<void> {
    const cut = setTimeout(() => {
      this.#server.closeAllConnections();
      for (const socket of this.#handedOver) socket.destroy();
    }, milliseconds);
    const idle = setInterval(() => this.#closeKept(), IDLE_MILLISECONDS);
    // This closes only the port. From Node 26 on, `close` of node:http would also close connections that have had no
    // request yet, although they must still be answered.
    await new Promise((resolve) => NetServer.prototype.close.call(this.#server, resolve));
    // This ends the timer of node:http.
    this.#server.close();
    clearTimeout(cut);
    clearInterval(idle);
    clearInterval(this.#timer);
    this.#headers.stop();
  }

  /** Hands a handshake to the listener with a response, so that it can be refused like any request. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // node:http has removed its own listener. Without any, an error would end the process.
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => endWith(socket, ''));
    this.#listener(request, response, { socket, head });
  }

  /** Ends a connection whose header takes memory that others need. @param answer a whole response */
  #refuseHeader(socket: Socket, answer: string): void {
    this.unreadable++;
    // No answer can be sent before the one that is under way, which may take long.
    if (!this.#of(socket).isFree) {
      socket.destroy();
      return;
    }
    socket.pause();
    endWith(socket, answer);
  }

  /** Finds out which of the recently answered connections are kept for another request. */
  #lookAtAnswered(): void {
    for (const socket of this.#answered) {
      const isIdle = !socket.destroyed && !this.#handedOver.has(socket) && this.#of(socket).isFree;
      if (isIdle) this.#kept.add(socket);
    }
    this.#answered.clear();
  }

  /** Closes the connections that are kept for another request, unless a part of that request has arrived. */
  #closeKept(): void {
    this.#lookAtAnswered();
    this.#kept.closeAll((socket) => !this.#headers.isArriving(socket));
  }

  /** Closes idle connections if there is little room for new ones: first those that have had no request. */
  #makeRoom(): void {
    this.#lookAtAnswered();
    const max = this.#server.maxConnections;
    const few = Math.min(FEW_CONNECTIONS, max / 4);
    this.#server.getConnections((_error, open) => {
      const lacking = few - (max - open);
      this.#server.keepAliveTimeout = lacking > 0 ? FEW_KEEP_ALIVE_MILLISECONDS : KEEP_ALIVE_MILLISECONDS;
      for (let left = lacking; left > 0; left--) {
        if (!this.#fresh.closeOldest() && !this.#kept.closeOldest()) break;
      }
    });
  }

  #forget(socket: Socket): void {
    this.#fresh.delete(socket);
    this.#kept.delete(socket);
  }

  /** Returns the connection of a socket, and makes it at the first call. */
  #of(socket: Socket): HttpConnection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = new HttpConnection(socket, this.#parts);
      this.#connections.set(socket, connection);
    }
    return connection;
  }
}

import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ArrivingHeaders } from './arriving-headers.ts';
import { endWith, HttpConnection, type HttpConnectionParts } from './http-connection.ts';
import { TOO_MANY_HEADERS, unreadableAnswer } from './http/unreadable.ts';
import { IdleConnections } from './idle-connections.ts';
import { listenError } from './listen-error.ts';
import { LOOK_MILLISECONDS } from './stream/stalled-peer.ts';
import { isHandshake, type Upgrade } from './ws/handshake.ts';

const HEADERS_MILLISECONDS = 10_000;
const REQUEST_MILLISECONDS = 30_000;

/**
 * The most that a header takes: its fields 16 KiB (app.ts), and the rest the target, with 100 addresses to follow and 100
 * to watch (protocol.md). Each is up to 128 code points, of 12 bytes as `%F0%9F%8C%8A`, and has its name before it.
 */
const MAX_HEADER_BYTES = 320 * 1024;

/** A connection with longer trailers is closed behind its answers. */
const MAX_KEPT_TRAILER_BYTES = 16 * 1024;

/**
 * A proxy is to let go of a connection without a request before the service does: a publish on one that is being closed
 * at the other end is lost, and a proxy does not send it again (RFC 9110 §9.2.2). nginx and many others wait 60 s.
 */
const KEEP_ALIVE_MILLISECONDS = 75_000;

/**
 * So many connections are to be left for whoever comes: half of those that streams leave to requests (config.ts), or a
 * quarter of all. If there are fewer, idle ones are closed, and kept for less time.
 */
const FEW_CONNECTIONS = 96;
const ROOM_MILLISECONDS = 1000;
const FEW_KEEP_ALIVE_MILLISECONDS = 5000;

/** While the server closes, connections that have become idle are looked for this often. */
const IDLE_MILLISECONDS = 20;

/** What requests go to. `upgrade` is there for a handshake: refused by the response, else taken over. */
export type Listener = (
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: Upgrade | undefined,
) => void;

/**
 * Makes the HTTP server and takes its port. Requests that come before `serve` is called wait for it, so that a port in
 * use is known before anything else is touched.
 */
export class HttpServer {
  /** Connections ended for what came on them: no HTTP, too much header, a slow request, a body in too many pieces. */
  unreadable = 0;
  /** Connections that were cut because their clients took no answer. */
  stalled = 0;
  readonly #server: Server;
  readonly #connections = new WeakMap<Socket, HttpConnection>();
  /** Connections that node:http has handed over, of which it knows nothing any more. */
  readonly #handedOver = new Set<Socket>();
  readonly #parts: HttpConnectionParts;
  /** Connections that have brought no request yet, and those that are kept alive for another one. */
  readonly #fresh = new IdleConnections();
  readonly #kept = new IdleConnections();
  /** Connections that were answered lately. Under load most have their next request before anybody asks for the idle ones. */
  readonly #answered = new Set<Socket>();
  readonly #headers = new ArrivingHeaders();
  #waiting: Parameters<Listener>[] = [];
  #listener: Listener = (...exchange) => void this.#waiting.push(exchange);

  private constructor(maxConnections: number, lookMilliseconds: number) {
    this.#parts = {
      handle: (request, response) => this.#listener(request, response, undefined),
      waiting: { inAll: 0 },
      onBusy: (socket) => this.#forget(socket),
      onIdle: (socket) => this.#answered.add(socket),
      onUnreadable: () => {
        this.unreadable++;
      },
      onStalled: () => {
        this.stalled++;
      },
      lookMilliseconds,
    };
    this.#server = createServer(
      {
        IncomingMessage: upgradeable((socket) => this.#of(socket), this.#headers),
        maxHeaderSize: MAX_HEADER_BYTES,
        // Answered by the listener, as a problem.
        requireHostHeader: false,
        // A request that drips is ended with 408, looked at every second.
        headersTimeout: HEADERS_MILLISECONDS,
        requestTimeout: REQUEST_MILLISECONDS,
        connectionsCheckingInterval: 1000,
        // A peer that went without a word is seen when TCP gives up on it.
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
      },
      (request, response) => {
        this.#headers.arrived(request.socket);
        this.#of(request.socket).take(request, response);
      },
    );
    // Unsent bytes are looked at when nothing has happened for this long.
    this.#server.timeout = lookMilliseconds;
    this.#server.on('timeout', (socket: Socket) => this.#of(socket).onTimeout());
    // Fields past a count would be dropped without a word; the listener counts them itself.
    this.#server.maxHeadersCount = 0;
    // What is over it is closed at once: out of descriptors, not even that could be done.
    this.#server.maxConnections = maxConnections;
    this.#server.on('connection', (socket: Socket) => {
      this.#fresh.add(socket);
      this.#headers.add(socket, () => this.#refuseHeader(socket));
      socket.once('close', () => {
        this.#forget(socket);
        this.#headers.delete(socket);
      });
      this.#makeRoom();
    });
    setInterval(() => this.#makeRoom(), ROOM_MILLISECONDS).unref();
    this.#headers.start();
    // An expectation other than 100-continue may be ignored (RFC 9110 §10.1.1).
    this.#server.on('checkExpectation', (...exchange) => this.#server.emit('request', ...exchange));
    const handOver = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
      this.#handedOver.add(socket);
      this.#forget(socket);
      this.#headers.delete(socket);
      socket.once('close', () => this.#handedOver.delete(socket));
      const connection = this.#of(socket);
      if (canShakeHands(request, connection)) this.#upgrade(request, socket, head);
      else connection.leave();
    };
    this.#server.on('upgrade', handOver).on('connect', handOver);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const isFault = /^(HPE_|ERR_HTTP_REQUEST_TIMEOUT$)/.test(error.code ?? '');
      if (isFault) this.unreadable++;
      if (isFault && socket.writable) this.#of(socket).refuse(unreadableAnswer(error.code));
      else socket.destroy();
    });
  }

  /**
   * Takes the port.
   *
   * @param maxConnections how many may be open at once
   * @param lookMilliseconds how often an answer that waits is looked at: its client is cut after six to seven times that
   * @throws {StartError} if the port cannot be had
   */
  static async listen(
    host: string,
    port: number,
    maxConnections: number,
    lookMilliseconds = LOOK_MILLISECONDS,
  ): Promise<HttpServer> {
    const http = new HttpServer(maxConnections, lookMilliseconds);
    await new Promise<void>((resolve, reject) => {
      http.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      http.#server.listen({ host, port, backlog: 4096 }, resolve);
    });
    return http;
  }

  /** Where it listens, as a URL without a slash at its end. */
  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  /** From now on requests go to the listener, those that waited first. */
  serve(listener: Listener): void {
    this.#listener = listener;
    for (const [request, response, upgrade] of this.#waiting) {
      if (!request.socket.destroyed) listener(request, response, upgrade);
    }
    this.#waiting = [];
  }

  /** Takes no connection any more, and waits until those that are open have ended; past the time they are cut. */
  async close(milliseconds: number): Promise<void> {
    const cut = setTimeout(() => {
      this.#server.closeAllConnections();
      for (const socket of this.#handedOver) socket.destroy();
    }, milliseconds);
    // A connection whose answer was under way is kept alive for another request: there will be none.
    const idle = setInterval(() => this.#server.closeIdleConnections(), IDLE_MILLISECONDS);
    await new Promise((resolve) => this.#server.close(resolve));
    clearTimeout(cut);
    clearInterval(idle);
  }

  /** Gives a handshake a response, so that it can be refused as any request is. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // node:http has taken its listener away, and without one the process would end.
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => endWith(socket, ''));
    this.#listener(request, response, { socket, head });
  }

  /** Ends a connection whose header takes room that others need. */
  #refuseHeader(socket: Socket): void {
    this.unreadable++;
    // Before an answer that is under way there is no place for another, and it may take long.
    if (!this.#of(socket).isFree) {
      socket.destroy();
      return;
    }
    socket.pause();
    endWith(socket, TOO_MANY_HEADERS);
  }

  /** Closes idle connections if few are left: first those that have brought nothing yet. */
  #makeRoom(): void {
    for (const socket of this.#answered) {
      const isIdle = !socket.destroyed && !this.#handedOver.has(socket) && this.#of(socket).isFree;
      if (isIdle) this.#kept.add(socket);
    }
    this.#answered.clear();
    const most = this.#server.maxConnections;
    const few = Math.min(FEW_CONNECTIONS, most / 4);
    this.#server.getConnections((_error, open) => {
      const lacking = few - (most - open);
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

  #of(socket: Socket): HttpConnection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = new HttpConnection(socket, this.#parts);
      this.#connections.set(socket, connection);
    }
    return connection;
  }
}

/**
 * Requests as node:http makes them, except for the connections that it hands over: those of handshakes that can be
 * taken, and those whose next request is not taken, so that it does not even parse what comes behind. With a listener
 * for 'upgrade' it would hand over all that have the header, and with it their bodies. What else a client would rather
 * speak (`Upgrade: h2c` of Java and of curl --http2) may be ignored (RFC 9110 §7.8).
 */
function upgradeable(
  connectionOf: (socket: Socket) => HttpConnection,
  headers: ArrivingHeaders,
): typeof IncomingMessage {
  return class extends IncomingMessage {
    #leaves: boolean | undefined;

    get upgrade(): boolean {
      if (this.#leaves === undefined) {
        const connection = connectionOf(this.socket);
        // Behind CONNECT there is no HTTP.
        this.#leaves = this.method === 'CONNECT' || !connection.isOpen || canShakeHands(this, connection);
      }
      return this.#leaves;
    }

    /** Whether the header is there, says node:http; that alone does not decide it. */
    set upgrade(_hasHeader: unknown) {
      // Nothing is kept.
    }

    /** Takes a piece of the body, or `null` at its end, from the parser. */
    override push(piece: Buffer | null): boolean {
      if (piece === null) {
        headers.requestEnded(this.socket);
        // They would be kept until the next request.
        if (this.rawTrailers.join('').length > MAX_KEPT_TRAILER_BYTES) connectionOf(this.socket).refuse('');
      } else {
        if (this.headers['transfer-encoding'] !== undefined) headers.chunkArrived(this.socket);
        connectionOf(this.socket).pieceArrived(this, piece.length);
      }
      return super.push(piece);
    }
  };
}

/** Whether a request is a handshake that can be taken: none of those before it waits for its answer. */
function canShakeHands(request: IncomingMessage, connection: HttpConnection): boolean {
  return connection.isFree && connection.isOpen && isHandshake(request);
}

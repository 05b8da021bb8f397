import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection, Status } from '@nats-io/transport-node';
import type { Logger } from 'pino';

/** On closing, messages not sent within this time are dropped. */
const DRAIN_MILLISECONDS = 500;

/** The connection of this node to NATS. It reconnects by itself until it is closed, and logs its events. */
export class NatsLink {
  /** The client's connection. The callback of a subscription must not throw: that would stop all reading for good. */
  readonly connection: NatsConnection;
  readonly #closed: AbortController;
  readonly #logger: Logger;
  #isConnected = true;
  #maxPayload = Infinity;
  /** Whether the server has stopped answering pings. */
  #isStale = false;
  #leaving: string | undefined;
  #refusal: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(connection: NatsConnection, closed: AbortController, logger: Logger) {
    this.connection = connection;
    this.#closed = closed;
    this.#logger = logger;
  }

  /**
   * Starts watching a new connection.
   *
   * @param closed aborted by `close`; no connection is made after that
   */
  static open(connection: NatsConnection, closed: AbortController, logger: Logger): NatsLink {
    const link = new NatsLink(connection, closed, logger);
    link.#notePayload();
    void link.#watch();
    logger.info({ server: link.#server, version: connection.info?.version }, 'connected to NATS');
    return link;
  }

  /** Whether a server is connected, as far as is known. A server that is cut off silently is noticed after 3 s. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The maximum size of a message in bytes, with headers: the smallest limit of all servers connected to so far. */
  get maxPayload(): number {
    return this.#maxPayload;
  }

  /** Sends published messages, and closes the connection. Settles when it is closed; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    const { connection } = this;
    if (this.#isConnected && !connection.isClosed()) {
      const late = new AbortController();
      const drained = connection.drain().catch(() => undefined);
      const waited = delay(DRAIN_MILLISECONDS, undefined, { signal: late.signal }).catch(() => undefined);
      await Promise.race([drained, waited]);
      late.abort();
    }
    await connection.close().catch(() => undefined);
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) this.#onStatus(status);
    this.#isConnected = false;
    if (this.#closed.signal.aborted) return;
    const error = await this.connection.closed();
    this.#logger.error({ err: error }, 'the connection to NATS has ended and will not be restored');
  }

  #onStatus(status: Status): void {
    switch (status.type) {
      case 'staleConnection':
        this.#isStale = true;
        break;
      case 'disconnect':
        this.#onDisconnect();
        break;
      case 'reconnect':
        this.#onReconnect();
        break;
      case 'ldm':
        if (this.#leaving !== status.server) {
          this.#logger.info(
            { server: this.#server },
            'a server of NATS is shutting down: it will move this node to another',
          );
        }
        this.#leaving = status.server;
        break;
      case 'error':
        this.#onError(status.error);
        break;
    }
  }

  /** Handles a lost connection. Failed attempts to reconnect also report this status. */
  #onDisconnect(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    const why = this.#isStale ? 'it did not answer pings' : 'it closed the connection';
    this.#isStale = false;
    const level = this.#leaving === undefined ? 'warn' : 'info';
    this.#logger[level]({ server: this.#server, why }, 'NATS was lost: trying its servers until one answers');
  }

  #onReconnect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#leaving = undefined;
    this.#refusal = undefined;
    this.#notePayload();
    this.#logger.info({ server: this.#server }, 'connected to NATS again');
  }

  /** Logs an error. If each attempt to connect is refused for the same reason, that is logged once. */
  #onError(error: Error): void {
    if (error.message === this.#refusal) return;
    this.#refusal = error.message;
    const line = { server: this.#server, answer: error.message };
    if (error.name === 'AuthorizationError' || error.name === 'UserAuthenticationExpiredError') {
      this.#logger.error(
        line,
        'NATS does not accept the credentials of this node: correct them on this node or in NATS',
      );
    } else if (error.name === 'PermissionViolationError') {
      this.#logger.error(
        line,
        'NATS does not let this node use a subject: change the permissions of its user',
      );
    } else {
      this.#logger.error(line, 'NATS has reported an error');
    }
  }

  #notePayload(): void {
    this.#maxPayload = Math.min(this.#maxPayload, this.connection.info?.max_payload ?? Infinity);
  }

  get #server(): string {
    return this.connection.getServer();
  }
}

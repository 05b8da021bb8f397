import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection, Status } from '@nats-io/transport-node';
import type { Logger } from 'pino';

/** At the end, messages that were not sent after this time are given up. */
const DRAIN_MILLISECONDS = 500;

/** The connection of this node to NATS. It connects again by itself until it is closed, and logs what happens to it. */
export class NatsLink {
  /** The client's connection. An error that a callback of a subscription throws would end its reading for good. */
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
   * Begins to watch a connection that was just made.
   *
   * @param closed aborted by `close`: no connection is made after that
   */
  static open(connection: NatsConnection, closed: AbortController, logger: Logger): NatsLink {
    const link = new NatsLink(connection, closed, logger);
    link.#notePayload();
    void link.#watch();
    logger.info({ server: link.#server, version: connection.info?.version }, 'connected to NATS');
    return link;
  }

  /** Whether a server is connected, as far as it is known: one that is cut off without a word is noticed after 3 s. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The most bytes of one message, headers included: the least that any server said to which this was connected. */
  get maxPayload(): number {
    return this.#maxPayload;
  }

  /** Closes the connection, after what was published is sent. Settles when nothing of it is open; never rejects. */
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
    this.#logger.error({ err: error }, 'the connection to NATS has ended, and does not come back');
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

  /** Attempts to connect again end with this status, too. */
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

  /** Each attempt to connect may be refused for the same reason, which is logged once. */
  #onError(error: Error): void {
    if (error.message === this.#refusal) return;
    this.#refusal = error.message;
    const line = { server: this.#server, answer: error.message };
    if (error.name === 'AuthorizationError' || error.name === 'UserAuthenticationExpiredError') {
      this.#logger.error(line, 'NATS does not accept the credentials of this node: mend them, here or there');
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

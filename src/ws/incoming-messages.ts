import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { LARGE_BYTES, readingTurns } from '../wire/reading-turns.ts';
import type { Connection } from '../wire/connection.ts';
import { webSocketFraming } from './frame.ts';
import { MAX_MESSAGE_BYTES } from './handshake.ts';

/**
 * A function that returns the answer to a client's message, which is UTF-8; `undefined` if there is none. It never
 * rejects.
 */
export type Answer = (message: Buffer) => Promise<string | undefined>;

/** The maximum number of messages of one socket being answered at once. Further ones are not read until then. */
export const MAX_UNDER_WAY = 64;

/**
 * After this many messages, or bytes in one read, other sockets get their turn. A frame may be only a few bytes long.
 */
const MESSAGES_IN_TURN = 64;
const BYTES_IN_TURN = 16 * 1024;

/** Unsupported Data (RFC 6455 §7.4.1). */
const NOT_TEXT = 1003;

/**
 * The messages of a client on its WebSocket. Each is answered, in any order. While too many are being answered, the
 * client does not read its answers, or its turn is used up, nothing is read, and TCP slows the client down. Memory then
 * holds only the last read and the messages being answered.
 */
export class IncomingMessages {
  readonly #webSocket: WebSocket;
  readonly #connection: Connection;
  readonly #answer: Answer;
  /** Messages that arrived in the same chunk as the one at which reading stopped. */
  readonly #waiting: Buffer[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #bytesUnderWay = 0;
  #stopped = false;
  #answered = 0;
  #isResting = false;

  constructor(webSocket: WebSocket, connection: Connection, answer: Answer) {
    this.#webSocket = webSocket;
    this.#connection = connection;
    this.#answer = answer;
  }

  /** Starts answering messages. */
  start(): void {
    this.#webSocket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        this.#webSocket.close(NOT_TEXT, 'messages are JSON text');
        void this.stop();
        return;
      }
      this.#waiting.push(data);
      if (data.length >= LARGE_BYTES) this.#rest();
      this.go();
    });
  }

  /** Notes a read, after the messages completed by it were emitted. */
  wasRead(bytes: number): void {
    if (bytes >= BYTES_IN_TURN) this.#rest();
    this.go();
  }

  /** Answers waiting messages, and continues reading, as far as allowed now. */
  go(): void {
    while (this.#hasRoom && !this.#isResting) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#answerOne(message);
    }
    const mayRead = this.#hasRoom && !this.#isResting && this.#waiting.length === 0;
    if (mayRead && this.#webSocket.isPaused) this.#webSocket.resume();
    if (!mayRead && !this.#webSocket.isPaused) this.#webSocket.pause();
  }

  /** Ignores later messages. Settles when earlier ones are answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.go();
    await Promise.all(this.#underWay);
  }

  get #hasRoom(): boolean {
    return (
      // Ignored messages must still be read, up to the client's close frame.
      this.#stopped ||
      (this.#underWay.size < MAX_UNDER_WAY &&
        this.#bytesUnderWay < MAX_MESSAGE_BYTES &&
        this.#connection.room > 0)
    );
  }

  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    readingTurns.wait(() => {
      this.#isResting = false;
      this.go();
    });
  }

  #answerOne(message: Buffer): void {
    if (this.#stopped) return;
    if (++this.#answered % MESSAGES_IN_TURN === 0) this.#rest();
    const { length } = message;
    this.#bytesUnderWay += length;
    const answered = this.#answer(message).then((answer) => {
      if (answer !== undefined) this.#connection.write(webSocketFraming.encode([answer]));
      this.#bytesUnderWay -= length;
      this.#underWay.delete(answered);
      this.go();
    });
    this.#underWay.add(answered);
  }
}

/** Gives other sockets their turn after each large read of a socket whose messages are ignored until it closes. */
export function restBetweenReads(webSocket: WebSocket, socket: Socket): void {
  socket.on('data', (piece: Buffer) => {
    if (piece.length < BYTES_IN_TURN || webSocket.isPaused) return;
    webSocket.pause();
    readingTurns.wait(() => webSocket.resume());
  });
}

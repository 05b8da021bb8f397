import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { LARGE_BYTES, readingTurns } from '../reading-turns.ts';
import type { Connection } from '../stream/connection.ts';
import { webSocketFraming } from './frame.ts';
import { MAX_MESSAGE_BYTES } from './handshake.ts';

/** What is said back to a message of a client, whose bytes are UTF-8; `undefined` if nothing is. It never rejects. */
export type Answer = (message: Buffer) => Promise<string | undefined>;

/** So many messages of one socket are answered at once; what is more is not read yet. */
const MOST_UNDER_WAY = 64;

/** After so many messages, or so many bytes in one read, others have their turn: frames may be of a few bytes each. */
const MESSAGES_IN_TURN = 64;
const BYTES_IN_TURN = 16 * 1024;

/** Unsupported Data (RFC 6455 §7.4.1). */
const NOT_TEXT = 1003;

/**
 * The messages of a client on its socket. Each is answered, in whichever order the answers come about. While too much is
 * under way, or the client does not take its answers, or the client has had its turn, nothing is read, so that TCP holds
 * it up: in memory are then what was read last, and what is under way.
 */
export class Incoming {
  readonly #webSocket: WebSocket;
  readonly #connection: Connection;
  readonly #answer: Answer;
  /** What came in the same chunk as the message at which reading stopped. */
  readonly #waiting: Buffer[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #bytesUnderWay = 0;
  #stopped = false;
  #taken = 0;
  #isResting = false;

  constructor(webSocket: WebSocket, connection: Connection, answer: Answer) {
    this.#webSocket = webSocket;
    this.#connection = connection;
    this.#answer = answer;
    webSocket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        webSocket.close(NOT_TEXT, 'messages are JSON text');
        void this.stop();
        return;
      }
      this.#waiting.push(data);
      if (data.length >= LARGE_BYTES) this.#rest();
      this.go();
    });
  }

  /** Takes note of a read, when what is whole in it was handed over. */
  wasRead(bytes: number): void {
    if (bytes >= BYTES_IN_TURN) this.#rest();
    this.go();
  }

  /** Goes on if it had to wait and need not any longer. */
  go(): void {
    while (this.#hasRoom && !this.#isResting) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#take(message);
    }
    const mayRead = this.#hasRoom && !this.#isResting && this.#waiting.length === 0;
    if (mayRead && this.#webSocket.isPaused) this.#webSocket.resume();
    if (!mayRead && !this.#webSocket.isPaused) this.#webSocket.pause();
  }

  /** Takes nothing more. Settles when all that is under way is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.go();
    await Promise.all(this.#underWay);
  }

  get #hasRoom(): boolean {
    return (
      // What is not taken any more is read, up to the client's close frame.
      this.#stopped ||
      (this.#underWay.size < MOST_UNDER_WAY &&
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

  #take(message: Buffer): void {
    if (this.#stopped) return;
    if (++this.#taken % MESSAGES_IN_TURN === 0) this.#rest();
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

/** Lets others have their turn after a large read of a socket whose messages nobody takes: it is read up to its end. */
export function restBetweenReads(webSocket: WebSocket, socket: Socket): void {
  socket.on('data', (piece: Buffer) => {
    if (piece.length < BYTES_IN_TURN || webSocket.isPaused) return;
    webSocket.pause();
    readingTurns.wait(() => webSocket.resume());
  });
}

import type { WebSocket } from 'ws';
import type { Connection } from '../stream/connection.ts';
import { webSocketFraming } from './frame.ts';
import { MAX_MESSAGE_BYTES } from './handshake.ts';

/** What is said back to a message of a client, whose bytes are UTF-8; `undefined` if nothing is. It never rejects. */
export type Answer = (message: Buffer) => Promise<string | undefined>;

/** So many messages of one socket are answered at once; what is more is not read yet. */
const MOST_UNDER_WAY = 64;

/** Unsupported Data (RFC 6455 §7.4.1). */
const NOT_TEXT = 1003;

/**
 * What a client says on its socket: each message is answered, in whichever order that comes about. Where too much is under
 * way, or the client does not take its answers, nothing is read until that has changed, so that TCP holds it up: in
 * memory are then a chunk of the socket, and what is under way.
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
      this.go();
    });
  }

  /** Goes on where it had to wait and need not any more. */
  go(): void {
    while (this.#hasRoom) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#take(message);
    }
    const mayRead = this.#hasRoom && this.#waiting.length === 0;
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

  #take(message: Buffer): void {
    if (this.#stopped) return;
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

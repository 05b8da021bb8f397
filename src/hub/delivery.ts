import type { Message } from '../message.ts';
import { messageFrame } from '../sse/frame.ts';

/** Bytes cut at frame borders, how many messages they are, and the id of the last. */
export interface Slice {
  readonly bytes: Buffer;
  readonly messages: number;
  readonly lastId: number;
}

/** Slices are at most this long (a single frame may be a little longer), so that the bound on a socket's buffer holds. */
const SLICE_BYTES = 64 * 1024;

/** Frames of messages, encoded once each however many sockets get them. */
export class Frames {
  readonly #cursor: (id: number) => string;
  readonly #encoded = new Map<number, Buffer>();

  /** @param cursor the cursor of an id */
  constructor(cursor: (id: number) => string) {
    this.#cursor = cursor;
  }

  of(message: Message): Buffer {
    let bytes = this.#encoded.get(message.id);
    if (bytes === undefined) {
      bytes = Buffer.from(messageFrame(message, this.#cursor(message.id)));
      this.#encoded.set(message.id, bytes);
    }
    return bytes;
  }
}

/** What one commit has for the followers of one inbox: the same messages, so the same bytes, for all of them. */
export class Delivery {
  /** In id order; at least one. */
  readonly messages: Message[] = [];
  readonly #frames: Frames;
  #slices: readonly Slice[] | undefined;

  constructor(frames: Frames) {
    this.#frames = frames;
  }

  get firstId(): number {
    return this.messages[0]?.id ?? 0;
  }

  /** The messages as bytes; joined at the first call, the same buffers at each one after. */
  get slices(): readonly Slice[] {
    this.#slices ??= slice(this.messages, this.#frames);
    return this.#slices;
  }

  /** The messages of several deliveries of one commit with ids past `cursor`, by id and each once, as bytes. */
  static merge(deliveries: readonly Delivery[], cursor: number): readonly Slice[] {
    const byId = new Map<number, Message>();
    for (const { messages } of deliveries) {
      for (const message of messages) if (message.id > cursor) byId.set(message.id, message);
    }
    const [first] = deliveries;
    const messages = [...byId.values()].sort((one, other) => one.id - other.id);
    return first === undefined ? [] : slice(messages, first.#frames);
  }
}

function slice(messages: readonly Message[], frames: Frames): Slice[] {
  const slices: Slice[] = [];
  let parts: Buffer[] = [];
  let length = 0;
  let lastId = 0;
  const cut = (): void => {
    const [only] = parts;
    if (only === undefined) return;
    slices.push({
      bytes: parts.length === 1 ? only : Buffer.concat(parts, length),
      messages: parts.length,
      lastId,
    });
    parts = [];
    length = 0;
  };
  for (const message of messages) {
    const frame = frames.of(message);
    if (length + frame.length > SLICE_BYTES) cut();
    parts.push(frame);
    length += frame.length;
    lastId = message.id;
  }
  cut();
  return slices;
}

import type { EphemeralMessage, Message } from '../message.ts';
import { ByFraming } from '../wire/by-framing.ts';
import type { Framing } from '../wire/framing.ts';

/** A run of whole frames, with the number of their messages and the id of the last. */
export interface Slice {
  readonly bytes: Buffer;
  readonly messages: number;
  readonly lastId: number;
}

/**
 * The maximum size of a slice (a single frame may be slightly larger), so that the bound on a socket's buffer holds.
 */
const SLICE_BYTES = 64 * 1024;

/** The frame of an ephemeral message, in each framing. */
export class EphemeralFrames extends ByFraming<Buffer> {
  constructor(message: EphemeralMessage) {
    super((framing) => framing.encode([framing.ephemeral(message)]));
  }
}

/** A function that returns the frame of a commit's message, encoded only once. */
type Frames = (message: Message) => Buffer;

/** The frames of one commit, in each framing. */
export class CommitFrames extends ByFraming<Frames> {
  /** @param cursor returns the cursor of an id */
  constructor(cursor: (id: number) => string) {
    super((framing) => {
      const encoded = new Map<number, Buffer>();
      return (message) => {
        let bytes = encoded.get(message.id);
        if (bytes === undefined) {
          bytes = framing.encode([framing.message(message, cursor(message.id))]);
          encoded.set(message.id, bytes);
        }
        return bytes;
      };
    });
  }
}

/** Messages of one commit for several subscribers, with the same bytes for all of them. */
export class Delivery {
  /** The messages, in id order. */
  readonly messages: readonly Message[];
  readonly #frames: CommitFrames;
  readonly #slices = new ByFraming((framing) => new Slices(this.messages, this.#frames.in(framing)));

  constructor(messages: readonly Message[], frames: CommitFrames) {
    this.messages = messages;
    this.#frames = frames;
  }

  /** The id of the first message; 0 if there is none. */
  get firstId(): number {
    return this.messages[0]?.id ?? 0;
  }

  /** The id of the last message; 0 if there is none. */
  get lastId(): number {
    return this.messages.at(-1)?.id ?? 0;
  }

  /** Returns the messages as bytes: the same buffers for every subscriber, created when the first one needs them. */
  slices(framing: Framing): Iterable<Slice> {
    return this.#slices.in(framing);
  }

  /** Returns a delivery of the messages with ids greater than `cursor`. */
  after(cursor: number): Delivery {
    return new Delivery(
      this.messages.filter(({ id }) => id > cursor),
      this.#frames,
    );
  }
}

/**
 * The slices of a delivery, made lazily: a commit of thousands of large messages is encoded only as far as some socket
 * has room.
 */
class Slices implements Iterable<Slice> {
  readonly #messages: readonly Message[];
  readonly #frames: Frames;
  readonly #cut: Slice[] = [];
  /** The number of messages in `#cut`. */
  #through = 0;

  constructor(messages: readonly Message[], frames: Frames) {
    this.#messages = messages;
    this.#frames = frames;
  }

  *[Symbol.iterator](): Generator<Slice> {
    for (let at = 0; at < this.#cut.length || this.#through < this.#messages.length; at++) {
      yield (this.#cut[at] ??= this.#next());
    }
  }

  #next(): Slice {
    const parts: Buffer[] = [];
    let length = 0;
    let lastId = 0;
    for (let at = this.#through; at < this.#messages.length; at++) {
      const message = this.#messages[at] as Message;
      const frame = this.#frames(message);
      if (parts.length > 0 && length + frame.length > SLICE_BYTES) break;
      parts.push(frame);
      length += frame.length;
      lastId = message.id;
    }
    this.#through += parts.length;
    const [only] = parts;
    const bytes = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length);
    return { bytes, messages: parts.length, lastId };
  }
}

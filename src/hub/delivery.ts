import type { Draft, Message } from '../message.ts';
import { ByFraming } from './by-framing.ts';
import type { Framing } from '../stream/framing.ts';

/** Bytes cut at frame borders, how many messages they are, and the id of the last. */
export interface Slice {
  readonly bytes: Buffer;
  readonly messages: number;
  readonly lastId: number;
}

/** Slices are at most this long (a single frame may be a little longer), so that the bound on a socket's buffer holds. */
const SLICE_BYTES = 64 * 1024;

/** The frame of a message that is not stored, by framing. */
export class EphemeralFrames extends ByFraming<Buffer> {
  constructor(draft: Draft) {
    super((framing) => framing.encode([framing.ephemeral(draft)]));
  }
}

/** Frames of a commit's messages, encoded once each. */
type Frames = (message: Message) => Buffer;

/** The frames of one commit, by framing. */
export class CommitFrames extends ByFraming<Frames> {
  /** @param cursor the cursor of an id */
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

/** Messages of one commit for followers: the same messages, so the same bytes, for all of them. */
export class Delivery {
  /** In id order. */
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

  /** The messages as bytes: cut as far as somebody takes them, the same buffers for all. */
  slices(framing: Framing): Iterable<Slice> {
    return this.#slices.in(framing);
  }

  /** The messages with ids past `cursor`. */
  after(cursor: number): Delivery {
    return new Delivery(
      this.messages.filter(({ id }) => id > cursor),
      this.#frames,
    );
  }
}

/** A commit of thousands of large messages is cut no further than the socket with the most room takes it. */
class Slices implements Iterable<Slice> {
  readonly #messages: readonly Message[];
  readonly #frames: Frames;
  readonly #cut: Slice[] = [];
  /** How many messages are in the slices that are cut. */
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

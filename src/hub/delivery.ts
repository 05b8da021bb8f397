import type { Draft, Message } from '../message.ts';
import type { Framing } from '../stream/framing.ts';

/** Bytes cut at frame borders, how many messages they are, and the id of the last. */
export interface Slice {
  readonly bytes: Buffer;
  readonly messages: number;
  readonly lastId: number;
}

/** Slices are at most this long (a single frame may be a little longer), so that the bound on a socket's buffer holds. */
const SLICE_BYTES = 64 * 1024;

/** What is encoded once for each framing, however many sockets get it: nearly always they all have the same. */
class ByFraming<Encoded> {
  readonly #encode: (framing: Framing) => Encoded;
  readonly #encoded = new Map<Framing, Encoded>();

  constructor(encode: (framing: Framing) => Encoded) {
    this.#encode = encode;
  }

  in(framing: Framing): Encoded {
    let encoded = this.#encoded.get(framing);
    if (encoded === undefined) {
      encoded = this.#encode(framing);
      this.#encoded.set(framing, encoded);
    }
    return encoded;
  }
}

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

/** What one commit has for the followers of one inbox: the same messages, so the same bytes, for all of them. */
export class Delivery {
  /** In id order; at least one. */
  readonly messages: Message[] = [];
  readonly #frames: CommitFrames;
  readonly #slices = new ByFraming((framing) => slice(this.messages, this.#frames.in(framing)));

  constructor(frames: CommitFrames) {
    this.#frames = frames;
  }

  get firstId(): number {
    return this.messages[0]?.id ?? 0;
  }

  /** The messages as bytes; joined at the first call, the same buffers at each one after. */
  slices(framing: Framing): readonly Slice[] {
    return this.#slices.in(framing);
  }

  /** The messages of several deliveries of one commit with ids past `cursor`, by id and each once, as bytes. */
  static merge(deliveries: readonly Delivery[], cursor: number, framing: Framing): readonly Slice[] {
    const byId = new Map<number, Message>();
    for (const { messages } of deliveries) {
      for (const message of messages) if (message.id > cursor) byId.set(message.id, message);
    }
    const [first] = deliveries;
    const messages = [...byId.values()].sort((one, other) => one.id - other.id);
    return first === undefined ? [] : slice(messages, first.#frames.in(framing));
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
    const frame = frames(message);
    if (length + frame.length > SLICE_BYTES) cut();
    parts.push(frame);
    length += frame.length;
    lastId = message.id;
  }
  cut();
  return slices;
}

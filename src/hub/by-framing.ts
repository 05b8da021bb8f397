import type { Framing } from '../stream/framing.ts';

/** Something that is encoded once for each framing, at its first use, however many sockets get it. */
export class ByFraming<Encoded> {
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

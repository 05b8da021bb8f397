import type { Framing } from './framing.ts';

/** A value that is encoded once for each framing, when it is first needed, for any number of sockets. */
export class ByFraming<Encoded> {
  readonly #encode: (framing: Framing) => Encoded;
  readonly #encoded = new Map<Framing, Encoded>();

  constructor(encode: (framing: Framing) => Encoded) {
    this.#encode = encode;
  }

  /** Returns the value in a framing. */
  in(framing: Framing): Encoded {
    let encoded = this.#encoded.get(framing);
    if (encoded === undefined) {
      encoded = this.#encode(framing);
      this.#encoded.set(framing, encoded);
    }
    return encoded;
  }
}

// Bodies that come in chunks (RFC 9112 §7.1). A server may cut them anywhere, so the cuts are no part of the content.

const NEWLINE = 10;
const RETURN = 13;
const NINE = 57;

/** A counter of a body's bytes without the headers of its chunks. It copies nothing. */
export class BodyBytes {
  /** Bytes of the chunk that are still to come. */
  #left = 0;
  /** The size that the header says, as far as it has come. */
  #size = 0;

  /**
   * @param {Uint8Array} bytes as they came
   * @returns {number} how many of them are in the body
   */
  count(bytes) {
    let body = 0;
    for (let at = 0; at < bytes.length;) {
      const part = Math.min(this.#left, bytes.length - at);
      this.#left -= part;
      body += part;
      at += part;
      if (at < bytes.length) this.#header(bytes[at++] ?? NEWLINE);
    }
    return body;
  }

  /** @param {number} byte of a header, or of the end of a line behind a chunk */
  #header(byte) {
    if (byte === NEWLINE) {
      this.#left = this.#size;
      this.#size = 0;
    } else if (byte !== RETURN) {
      this.#size = this.#size * 16 + (byte <= NINE ? byte - 48 : (byte | 32) - 87);
    }
  }
}

/** A reader that removes the chunk headers from a body. */
export class Unchunked {
  #waiting = '';
  #left = 0;

  /** @param {string} text */
  read(text) {
    this.#waiting += text;
    let body = '';
    for (;;) {
      if (this.#left > 0) {
        const part = this.#waiting.slice(0, this.#left);
        this.#waiting = this.#waiting.slice(part.length);
        this.#left -= part.length;
        body += part;
        if (this.#left > 0) return body;
      }
      const header = /^(?:\r\n)?([\da-f]+)\r\n/i.exec(this.#waiting);
      if (header === null) return body;
      this.#waiting = this.#waiting.slice(header[0].length);
      this.#left = Number.parseInt(header[1] ?? '', 16);
    }
  }
}

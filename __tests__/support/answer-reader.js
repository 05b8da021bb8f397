/**
 * Takes the answers of one connection out of the bytes that the service writes to it. Plain JavaScript, since wire-tap.js
 * looks at the service from inside.
 */

/** @typedef {{ method: string | undefined, path: string }} AskedRequest of which the method may be unknown */
/** @typedef {import('./description.js').GivenAnswer} GivenAnswer */

/** Larger answers are files. */
const MAX_KEPT = 8 * 1024 * 1024;

export class AnswerReader {
  /** @type {Buffer} */
  #rest = Buffer.alloc(0);
  /** The answer whose body is being written, and its length. @type {{ answer: GivenAnswer, length: number } | undefined} */
  #current;

  /** Whether it is in the middle of an answer. */
  get isWithin() {
    return this.#rest.length > 0 || this.#current !== undefined;
  }

  /**
   * @param {Buffer} bytes what was written next @param {AskedRequest} request the one that is being answered
   * @returns {GivenAnswer[]} those that are whole now
   */
  feed(bytes, request) {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    /** @type {GivenAnswer[]} */
    const answers = [];
    for (let answer = this.#next(request); answer !== undefined; answer = this.#next(request))
      answers.push(answer);
    return answers;
  }

  /** @param {AskedRequest} request @returns {GivenAnswer | undefined} */
  #next(request) {
    this.#current ??= this.#head(request);
    if (this.#current === undefined || this.#rest.length < this.#current.length) return undefined;
    const { answer, length } = this.#current;
    const body = this.#rest.toString('utf8', 0, length);
    this.#rest = this.#rest.subarray(length);
    this.#current = undefined;
    return { ...answer, body };
  }

  /** @param {AskedRequest} request */
  #head({ method, path }) {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end === -1) {
      // It is no answer: another protocol.
      if (this.#rest.length > MAX_KEPT) this.#rest = Buffer.alloc(0);
      return undefined;
    }
    const head = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
    const type = /^content-type: ([^;\r\n]*)/im.exec(head)?.[1] ?? '';
    const isEmpty = method === 'HEAD' || status < 200 || status === 204 || status === 304;
    const length = isEmpty ? 0 : Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const isCoded = /^content-encoding: /im.test(head);
    return { answer: { method, path, status, type, isCoded, body: '' }, length };
  }
}

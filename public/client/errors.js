/** A refusal by the service, with its problem document (RFC 9457). */
export class Problem extends Error {
  /** @override */
  name = 'Problem';

  /**
   * @param {number} status the HTTP status
   * @param {string} detail a sentence for people
   * @param {{ retryAfter?: number | undefined, errors?: readonly { path: string, message: string }[] | undefined }} [facts]
   *   `retryAfter`: after how many seconds to come back, if the service said so; `errors`: the bad fields
   */
  constructor(status, detail, { retryAfter, errors = [] } = {}) {
    super(detail);
    /** The HTTP status. */
    this.status = status;
    /** A sentence for people. */
    this.detail = detail;
    /** The bad fields: their paths, and what is wrong with them. */
    this.errors = errors;
    /** After how many seconds to come back, if the service said so. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return [401, 408, 429].includes(this.status) || this.status >= 500;
  }
}

/** The service was not reached: it did not answer, or not in time, or there was no token for the request. */
export class Unreachable extends Error {
  /** @override */
  name = 'Unreachable';

  /** The same request may succeed later. */
  passes = true;

  /**
   * @param {unknown} cause
   * @param {string} [message]
   */
  constructor(cause, message = 'the service cannot be reached') {
    super(message, { cause });
  }
}

/** The reason for the failure of a request. @typedef {Problem | Unreachable} Fault */

/**
 * Turns an error into the reason for the failure of a request.
 *
 * @param {unknown} error
 * @returns {Fault}
 */
export function asFault(error) {
  return error instanceof Problem || error instanceof Unreachable ? error : new Unreachable(error);
}

/**
 * Turns an error of the page's own code into the reason for the failure of a request.
 *
 * @param {string} missing what the code could not get
 * @param {unknown} error
 */
export function notGot(missing, error) {
  const why = error instanceof Error ? error.message : String(error);
  return new Unreachable(error, `cannot get a ${missing}: ${why}`);
}

/** Signing out would lose messages that wait to be stored. */
export class Unsent extends Error {
  /** @override */
  name = 'Unsent';

  /** @param {readonly object[]} entries the messages, the oldest first */
  constructor(entries) {
    super(`unsent messages: ${entries.length}; sign out later, or with { discard: true }`);
    /** The messages, the oldest first. */
    this.entries = entries;
  }
}

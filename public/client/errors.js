/** A refusal by the service, with the problem that it told (RFC 9457). */
export class Problem extends Error {
  /** @override */
  name = 'Problem';

  /**
   * @param {number} status
   * @param {string} detail a sentence for a person
   * @param {{ retryAfter?: number | undefined, errors?: readonly { path: string, message: string }[] | undefined }} [facts]
   *   `retryAfter`: seconds, if the service said when to come back; `errors`: the bad fields
   */
  constructor(status, detail, { retryAfter, errors = [] } = {}) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return [401, 408, 429].includes(this.status) || this.status >= 500;
  }
}

/** The service was not reached: no answer at all, or none in time, or no token to ask with. */
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

/** Why a request had no success. @typedef {Problem | Unreachable} Fault */

/**
 * Returns an error as why a request had no success.
 *
 * @param {unknown} error
 * @returns {Fault}
 */
export function asFault(error) {
  return error instanceof Problem || error instanceof Unreachable ? error : new Unreachable(error);
}

/**
 * Returns an error of the page's own code as why a request had no success.
 *
 * @param {string} missing what could not be got by it
 * @param {unknown} error
 */
export function notGot(missing, error) {
  const why = error instanceof Error ? error.message : String(error);
  return new Unreachable(error, `no ${missing} can be got: ${why}`);
}

/** Signing out would lose messages that wait to be stored. */
export class Unsent extends Error {
  /** @override */
  name = 'Unsent';

  /** @param {readonly object[]} entries the messages, the oldest first */
  constructor(entries) {
    super(`${entries.length} messages are not sent: sign out later, or with { discard: true }`);
    this.entries = entries;
  }
}

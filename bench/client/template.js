// What is published, as bytes that are prepared once: the numbers in them are written over in place.

/** Stands in each content for its number: that of the publisher, and its count of messages. */
const MARK = '~00000-00000000~';
/** Where a message is timed, the moment at which it was due stands here, in microseconds; else zeros. */
const STAMP = '@0000000000000000@';
/** Stands in a request for the number of an inbox, where each device has its own. */
export const OWN_INBOX = 'box-00000';
/** Stands in a request for the number of a sender, where there are many. */
export const MANY_SENDERS = 'peer-0000';

/** Finds the marks of a text: publisher and count. */
export const MARKS = /~(\d{5})-(\d{8})~/g;
export const STAMP_START = '@0';
export const STAMP_LENGTH = STAMP.length;

/** A content of 100 bytes, with a mark and room for a stamp. */
export const CONTENT = (MARK + STAMP).padEnd(100, 'x');

/**
 * A content of 100 bytes that is the last one of a run. It says so many times over: however the network cuts it, one
 * of the parts has a whole one.
 *
 * @param {string} end of eight characters
 */
export function lastContent(end) {
  return end.repeat(13).slice(0, 100);
}

/** The bytes of a request, and where the numbers stand in it. */
export class Template {
  bytes;
  #marks;
  #stamps;
  #inboxes;
  #senders;

  /** @param {string} text of the request */
  constructor(text) {
    this.bytes = Buffer.from(text);
    this.#marks = this.#find(MARK);
    this.#stamps = this.#find(STAMP);
    this.#inboxes = this.#find(OWN_INBOX);
    this.#senders = this.#find(MANY_SENDERS);
  }

  /**
   * Numbers the messages of the request.
   *
   * @param {number} publisher
   * @param {number} count of the first of them
   */
  number(publisher, count) {
    for (const [index, at] of this.#marks.entries()) {
      this.#write(at + 1, 5, publisher);
      this.#write(at + 7, 8, count + index);
    }
  }

  /** @param {(index: number) => number} inbox of each message in the request */
  address(inbox) {
    for (const [index, at] of this.#inboxes.entries()) this.#write(at + 4, 5, inbox(index));
  }

  /** @param {number} sender of the first message; each has the next */
  sign(sender) {
    for (const [index, at] of this.#senders.entries()) this.#write(at + 5, 4, (sender + index) % 1000);
  }

  /** @param {number} microseconds on the clock of `now`; 0 for a message that is not timed */
  stamp(microseconds) {
    for (const at of this.#stamps) this.#write(at + 1, 16, microseconds);
  }

  /** @param {string} text */
  #find(text) {
    const found = [];
    for (let at = this.bytes.indexOf(text); at !== -1; at = this.bytes.indexOf(text, at + 1)) found.push(at);
    return found;
  }

  /**
   * @param {number} at
   * @param {number} digits
   * @param {number} value
   */
  #write(at, digits, value) {
    for (let place = at + digits - 1; place >= at; place--) {
      this.bytes[place] = 48 + (value % 10);
      value = Math.floor(value / 10);
    }
  }
}

/** Microseconds on a clock that all processes of a machine share, which does not jump. */
export function now() {
  return Math.round(Number(process.hrtime.bigint()) / 1000);
}

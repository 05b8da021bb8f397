// Published messages, as bytes that are prepared once: the numbers in them are overwritten in place.

/** The place of a message's number in its content: the publisher's number, and the publisher's count of messages. */
const MARK = '~00000-00000000~';
/** The place of the moment at which a timed message was due, in microseconds; otherwise zeros. */
const STAMP = '@0000000000000000@';
/** The place of an inbox's number in a request, if each device has its own. */
export const OWN_INBOX = 'box-00000';
/** The place of a sender's number in a request, if there are many. */
export const MANY_SENDERS = 'peer-0000';

/** Finds the marks in a text: publisher and count. */
export const MARKS = /~(\d{5})-(\d{8})~/g;
export const STAMP_START = '@0';
export const STAMP_LENGTH = STAMP.length;

/** A content of 100 bytes, with a mark and room for a stamp. */
export const CONTENT = (MARK + STAMP).padEnd(100, 'x');

/**
 * Returns the last content of a run, of 100 bytes. It repeats its mark many times: however the network cuts it, one of
 * the parts has a whole mark.
 *
 * @param {string} end of eight characters
 */
export function lastContent(end) {
  return end.repeat(13).slice(0, 100);
}

/** The bytes of a request, and the places of the numbers in it. */
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

/** Returns microseconds on a clock that all processes of a machine share, and that does not jump. */
export function now() {
  return Math.round(Number(process.hrtime.bigint()) / 1000);
}

import { Problem } from '../client.js';
import { newKey } from '../client/outbox.js';

/** @import { Connection } from '../client.js' */
/** @import { Stored } from '../client/feed.js' */
/** @import { Entry } from '../client/outbox.js' */
/** @import { Unsent } from './rows.js' */

/** What a person sends: it is in sight from when it is written until the log has it, or it is taken away. */
export class Outgoing {
  /** @type {Unsent[]} */
  #refused = [];
  /** Whom this token may not send to: they are not told either that one is typing. @type {Set<string>} */
  #mute = new Set();
  #events;

  /** @param {{ onStored: (message: Stored) => void, onChange: () => void }} events */
  constructor(events) {
    this.#events = events;
  }

  /**
   * What is not stored, the oldest first.
   *
   * @param {Connection | undefined} connection
   * @returns {Unsent[]}
   */
  unsent(connection) {
    return [...this.#refused, ...(connection?.outbox ?? []).map((entry) => ({ entry }))];
  }

  /**
   * @param {Connection | undefined} connection
   * @param {string} recipient
   * @param {string} content
   */
  send(connection, recipient, content) {
    const entry = { recipient, content, idempotencyKey: newKey() };
    // The stream may bring it much later. The connection may be another by then, and another window may have sent it.
    connection?.send(entry).then(
      (message) => this.#events.onStored(message),
      (/** @type {unknown} */ error) => this.refuse(entry, /** @type {Error} */ (error).message),
    );
  }

  /**
   * It will never be stored.
   *
   * @param {Entry} entry
   * @param {string} why
   */
  refuse(entry, why) {
    const isKnown = this.#refused.some((one) => one.entry.idempotencyKey === entry.idempotencyKey);
    if (entry.type === 'read' || isKnown) return;
    this.#refused.push({ entry, refused: why });
    this.#events.onChange();
  }

  /** Takes away a message that was refused. @param {Unsent} unsent */
  dismiss(unsent) {
    this.#refused = this.#refused.filter((one) => one !== unsent);
  }

  /**
   * Tells somebody that one is typing.
   *
   * @param {Connection | undefined} connection
   * @param {string} recipient
   */
  tellTyping(connection, recipient) {
    if (this.#mute.has(recipient)) return;
    connection
      ?.sendEphemeral({ recipient, type: 'typing', content: true })
      .catch((/** @type {unknown} */ error) => {
        if (error instanceof Problem && error.status === 403) this.#mute.add(recipient);
      });
  }

  /** Another token may send to others. */
  forgetMute() {
    this.#mute.clear();
  }
}

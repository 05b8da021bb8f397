import { Problem } from '../client.js';
import { newKey } from '../client/environment.js';
import { appendEntry, findEntries, readEntries } from '../client/outbox-entries.js';
import { storage } from '../client/storage.js';
import { isolated } from './dom.js';

/** @import { Connection } from '../client/connect.js' */
/** @import { Stored } from '../client/feed.js' */
/** @import { Entry } from '../client/outbox.js' */
/** @import { Api } from './api.js' */
/** @import { Unsent } from './rows.js' */

/** The messages that a person sends. Each stays in sight until it is stored, or dismissed. */
export class Outgoing {
  #name;
  #me;
  /** The prefix of the names of the waiting messages. */
  #outbox;
  /** People to whom this token may not send: they are not told about typing, either. @type {Set<string>} */
  #mute = new Set();
  #events;

  /**
   * @param {Api} api
   * @param {string} me
   * @param {{ onStored: (message: Stored) => void, onChange: () => void }} events
   */
  constructor(api, me, events) {
    this.#name = api.keptName(`refused:${me}`);
    this.#me = me;
    this.#outbox = findEntries(api.url(''), me);
    this.#events = events;
  }

  /**
   * Returns the messages that are not stored, the oldest first.
   *
   * @param {Connection | undefined} connection
   * @returns {Unsent[]}
   */
  unsent(connection) {
    const waiting = connection?.outbox ?? readEntries(storage.names(this.#outbox));
    return [...this.#refused, ...waiting.map((entry) => ({ entry }))];
  }

  /** The number of waiting messages of the person. Read markers, which wait there too, do not count. */
  get waiting() {
    return readEntries(storage.names(this.#outbox)).filter(({ type }) => type !== 'read').length;
  }

  /**
   * Returns the number of the person's messages that are not stored.
   *
   * @param {Connection | undefined} connection
   */
  count(connection) {
    return this.unsent(connection).filter(({ entry }) => entry.type !== 'read').length;
  }

  /**
   * Sends a message. Without a connection, it waits in the outbox for the next one.
   *
   * @param {Connection | undefined} connection
   * @param {string} recipient
   * @param {unknown} content
   */
  send(connection, recipient, content) {
    const entry = { recipient, content, idempotencyKey: newKey() };
    if (connection === undefined) {
      appendEntry(this.#outbox, { sender: this.#me, ...entry });
      this.#events.onChange();
      return;
    }
    // The stream may bring it much later. By then another connection or window may have sent it.
    connection.send(entry).then(
      (message) => this.#events.onStored(message),
      (/** @type {unknown} */ error) => {
        // Otherwise this connection has ended, and the message waits for the next one.
        if (error instanceof Problem) this.refuse(entry, error);
      },
    );
  }

  /**
   * Keeps a message that will never be stored, until the person does something about it.
   *
   * @param {Entry} entry
   * @param {Problem} problem
   */
  refuse(entry, problem) {
    const refused = this.#refused;
    const isKnown = refused.some((one) => one.entry.idempotencyKey === entry.idempotencyKey);
    if (entry.type === 'read' || isKnown) return;
    this.#keep([...refused, { entry, refused: whyNot(problem, entry.recipient) }]);
    this.#events.onChange();
  }

  /** Removes a refused message. @param {Unsent} unsent */
  dismiss({ entry: { idempotencyKey } }) {
    this.#keep(this.#refused.filter(({ entry }) => entry.idempotencyKey !== idempotencyKey));
    this.#events.onChange();
  }

  /** @returns {Unsent[]} */
  get #refused() {
    /** @type {unknown} */
    const kept = JSON.parse(storage.get(this.#name) ?? '[]');
    return /** @type {Unsent[]} */ (kept);
  }

  /** @param {readonly Unsent[]} refused */
  #keep(refused) {
    if (refused.length === 0) storage.remove(this.#name);
    else storage.set(this.#name, JSON.stringify(refused));
  }

  /**
   * Tells somebody that the person is typing.
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

  /** Forgets who may not be written to, because another token may allow it. */
  forgetMute() {
    this.#mute.clear();
  }
}

/**
 * Returns why a message was refused, for people.
 *
 * @param {Problem} problem
 * @param {string} recipient
 */
function whyNot({ status, message }, recipient) {
  if (status === 403) return `you may not write to ${isolated(recipient)}.`;
  if (status === 413) return 'it is too long (more than 48 KiB). Send it in several parts.';
  return message;
}

import { newKey } from './environment.js';
import { storage } from './storage.js';

/**
 * A message to send.
 *
 * @typedef {object} Draft
 * @property {string} recipient an address
 * @property {unknown} content any JSON value
 * @property {string} [sender] an address; defaults to the sender of the connection
 * @property {string} [type] `message` by default; all types except `read` count as unread and notify
 * @property {number} [ttl] how long it is shown, in seconds from when it is stored: 1 to 31,536,000
 * @property {boolean} [background] whether it is in streams and history alone: not unread, no conversation,
 *   no notification
 * @property {string} [idempotencyKey] 1 to 128 characters; a new one if it is missing
 */

/** @typedef {Draft & { idempotencyKey: string }} Entry a message that waits to be stored */

/** The length of the part of a name that tells names of the same moment apart. */
const KEY_LENGTH = 8;

/**
 * Returns the messages that the browser's storage has under these names.
 *
 * @param {readonly string[]} names
 * @returns {Entry[]} without those that are missing, or were written by other code
 */
export function readEntries(names) {
  return names.flatMap((name) => {
    try {
      /** @type {unknown} */
      const value = JSON.parse(storage.get(name) ?? '');
      return /** @type {Entry | null} */ (value) ?? [];
    } catch {
      return [];
    }
  });
}

/**
 * Stores a message behind all others, even if the clock was set back.
 *
 * @param {string} prefix what the names of its sender's messages begin with; the names are in order of time
 * @param {Draft} draft
 * @returns {{ name: string, text: string }}
 * @throws {TypeError} if the message is not JSON
 */
export function appendEntry(prefix, draft) {
  const text = JSON.stringify({ ...draft, idempotencyKey: draft.idempotencyKey ?? newKey() });
  const newest = storage.names(prefix).at(-1)?.slice(prefix.length, -KEY_LENGTH);
  const time = Math.max(Date.now(), Number(newest ?? 0) + 1);
  const name = `${prefix}${String(time).padStart(16, '0')}${newKey().slice(0, KEY_LENGTH)}`;
  storage.set(name, text);
  return { name, text };
}

/**
 * Finds the waiting messages of a sender, even those stored by an earlier version of the client.
 *
 * @param {string} service the service's name
 * @param {string} sender
 * @returns {string} what all their names begin with
 */
export function findEntries(service, sender) {
  // Quoted: a sender's name may begin with another's and a colon.
  const whose = `${JSON.stringify(sender)}:`;
  const prefix = `tidings:${service}:outbox:${whose}`;
  // A message has the same key under both names, so it is not stored twice.
  const old = `tidings:outbox:${service}:${whose}`;
  for (const name of storage.names(old)) {
    storage.set(prefix + name.slice(old.length), storage.get(name) ?? '');
    storage.remove(name);
  }
  return prefix;
}

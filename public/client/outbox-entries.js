import { newKey } from './environment.js';
import { storage } from './storage.js';

/**
 * A message to be sent.
 *
 * @typedef {object} Draft
 * @property {string} recipient
 * @property {unknown} content any JSON value
 * @property {string} [sender]
 * @property {string} [type]
 * @property {number} [ttl]
 * @property {boolean} [background] for streams and history alone: not unread, no conversation, no notification
 * @property {string} [idempotencyKey] made if it is not given
 */

/** @typedef {Draft & { idempotencyKey: string }} Entry a message that waits */

/** Tells names of the same moment apart. */
const KEY_LENGTH = 8;

/**
 * Returns the messages that have these names in the browser's storage.
 *
 * @param {readonly string[]} names
 * @returns {Entry[]} without those that are gone, or were written by something else
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
 * Keeps a message behind all others, also if the clock was set back.
 *
 * @param {string} prefix of the names of its sender's messages, which are in order of time
 * @param {Draft} draft
 * @returns {{ name: string, text: string }}
 * @throws {TypeError} if it is not JSON
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
 * Finds the messages of a sender that wait, also those that an earlier version kept.
 *
 * @param {string} service its name
 * @param {string} sender
 * @returns {string} what all their names begin with
 */
export function findEntries(service, sender) {
  // In quotes: a sender's name may begin with another's and a colon.
  const whose = `${JSON.stringify(sender)}:`;
  const prefix = `tidings:${service}:outbox:${whose}`;
  // They have the same keys under both names, so none is stored twice.
  const old = `tidings:outbox:${service}:${whose}`;
  for (const name of storage.names(old)) {
    storage.set(prefix + name.slice(old.length), storage.get(name) ?? '');
    storage.remove(name);
  }
  return prefix;
}

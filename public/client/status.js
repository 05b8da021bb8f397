import { isOnline } from './environment.js';
import { Problem } from './errors.js';

/** @import { State } from './connection.js' */
/** @import { Fault } from './errors.js' */
/** @import { ConnectionState, Transport } from './machine.js' */

/**
 * The status of a connection.
 *
 * @typedef {object} Status
 * @property {ConnectionState} state `connecting`; `catching-up`: missed messages are coming; `live`: messages
 *   come as they are stored; `offline`: the client tries again by itself; `expired`: it waits for `onExpired`
 *   or `reconnect`; `refused`: it waits for `reconnect`; `replaced`: somebody else has signed in;
 *   `signed-out`: the session was ended; `closed`. The last three are final
 * @property {Transport} transport how messages come: by `polling` if a proxy holds streams back
 * @property {boolean} shared whether another tab has the connection
 * @property {string} detail a sentence for people if the state is not `live`; may be empty
 * @property {{ status: number, detail: string, errors: readonly object[] } | null} problem why the service
 *   refused it (RFC 9457)
 * @property {number} caughtUp how many messages have come since it began to catch up
 * @property {number} waiting how many messages wait in the outbox
 * @property {boolean} persistent whether the position and the outbox outlive this page
 */

/** The state of a connection that has just begun. @type {State} */
export const CONNECTING = { state: 'connecting', transport: 'stream', detail: '', problem: null };

/**
 * Returns the status before anything is known.
 *
 * @param {boolean} persistent
 * @returns {Status}
 */
export function newStatus(persistent) {
  return { ...CONNECTING, shared: true, caughtUp: 0, waiting: 0, persistent };
}

/** Sentences for people, by state. @type {Readonly<Partial<Record<ConnectionState, string>>>} */
const DETAILS = {
  offline: 'the service cannot be reached',
  expired: 'there is no session, or it has expired',
  replaced: 'somebody else has signed in',
  'signed-out': 'the session was ended',
};

/**
 * Returns a sentence for people about a state; may be empty.
 *
 * @param {ConnectionState} state
 * @param {Fault} [fault] the reason for the state
 */
export function detailOf(state, fault) {
  if (state === 'offline' && !isOnline()) return 'this machine is offline';
  // People cannot use the detail of a 401, or what a proxy says about a service that it does not reach.
  const isPlain = state !== 'expired' && !(fault instanceof Problem && fault.status >= 500);
  return (isPlain ? fault?.message : undefined) ?? DETAILS[state] ?? '';
}

/** Returns whether the session is somebody else's, or has ended. @param {ConnectionState} state */
export function isFinal(state) {
  return state === 'replaced' || state === 'signed-out';
}

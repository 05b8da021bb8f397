import { storage } from '../client/storage.js';

/** @import { Api, Session } from './api.js' */

/**
 * Stores whose session the browser has, for a page that is opened while the service cannot be reached.
 * Removes it if there is no session.
 *
 * @param {Api} api
 * @param {Session | undefined} session
 */
export function keepSession(api, session) {
  const name = api.keptName('session-of');
  if (session === undefined) storage.remove(name);
  else storage.set(name, JSON.stringify(session.sub));
}

/**
 * Returns whose session the browser had when the service was last asked.
 *
 * @param {Api} api
 * @returns {Pick<Session, 'sub'> | undefined} `sub` is null in open mode; `undefined` if there was no
 *   session, or somebody has signed out
 */
export function lastSession(api) {
  const kept = storage.get(api.keptName('session-of'));
  if (kept === undefined || api.isLeaving) return undefined;
  /** @type {unknown} */
  const sub = JSON.parse(kept);
  return { sub: /** @type {string | null} */ (sub) };
}

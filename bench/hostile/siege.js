import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT } from 'jose';
import { percentiles } from '../client/percentiles.js';
import { Remote } from '../client/remote.js';
import { startOn } from '../peers/tidings.js';
import { makeFolder, removeFolder } from '../processes.js';

/** @typedef {import('./attack.js').Attack} Attack */
/** @typedef {import('../server.js').Server} Server */
/** @typedef {Record<'publish' | 'health' | 'control', import('./paced-requests.js').Outcome>} Load */

/**
 * The length of the parts, in seconds, and the number of requests that warm the service up. `setUp` is the time for the
 * start, the streams and the crowd if an attack begins by itself.
 *
 * @typedef {{ quick: boolean, setUp: number, alone: number, attack: number, warmUp: number }} Times
 */

/**
 * The result of a part: the honest load, alone or beside an attack.
 *
 * @typedef {Load & { cores: number, peakBytes: number }} Part
 */

/**
 * @typedef {object} Outcome
 * @property {Part[]} alone before the attack, and after it if the service soon came to rest
 * @property {Part} attacked
 * @property {{ sent: number, answers: Record<number, number> }} tally of the attack
 * @property {readonly string[]} streams the fault of each stream that has not got everything once and in order
 * @property {boolean} ended whether the service has ended by itself
 */

/** The beginning of the names of the attack's accounts. */
const ACCOUNTS = 'mallory-';

/** The number of publishers, and of readers: each stays well below the limits of a client. */
const PEOPLE = 5;

/** A log for an attack, filled once. */
export class StoredTarget {
  #folder = makeFolder();
  #file = join(this.#folder, 'log.sqlite');

  /**
   * @param {Attack} attack
   * @param {boolean} quick
   */
  static async filledFor({ store }, quick) {
    const target = new StoredTarget();
    if (store === undefined) return target;
    const server = await startOn(target.#file);
    await store(`http://127.0.0.1:${server.port}`, quick);
    await server.stop();
    return target;
  }

  /** @returns {{ folder: string, database: string }} a copy, which can be changed */
  copy() {
    const folder = makeFolder();
    const database = join(folder, 'log.sqlite');
    for (const suffix of ['', '-wal']) {
      if (existsSync(this.#file + suffix)) copyFileSync(this.#file + suffix, database + suffix);
    }
    return { folder, database };
  }

  remove() {
    removeFolder(this.#folder);
  }
}

/**
 * Starts a service with tokens, loads it, attacks it, and returns what the honest clients noticed.
 *
 * @param {Attack} attack
 * @param {number} connections that attack at once
 * @param {StoredTarget} target
 * @param {Times} times
 * @param {{ control: number, core: number | undefined }} machine `control`: the port of a server that does nothing;
 *   `core`: the core on which attackers run
 * @returns {Promise<Outcome>}
 */
export async function besiege(attack, connections, target, times, { control, core }) {
  const { folder, database } = target.copy();
  const secret = randomBytes(32).toString('base64');
  const begins = Date.now() + (times.setUp + times.alone) * 1000;
  attack.arm?.(database, begins - Date.now());
  const errors = attack.unreadLog === true ? 'pipe' : 'ignore';
  const env = { AUTH_SECRET: secret };
  const server = await startOn(database, { folder, errors, ...attack.start, env });
  server.errors?.resume();
  const { port } = server;
  const honest = new Remote(new URL('honest-process.js', import.meta.url));
  const attackers = new Remote(new URL('attacker-process.js', import.meta.url), core);
  const who = { name: attack.name, port, quick: times.quick, tokens: await accountsOf(attack, secret) };
  const measure = (/** @type {number} */ seconds) => partOf(server, honest, seconds);
  await honest.call('open', { port, pid: server.pid, control, ...(await honestTokens(secret)) });
  await honest.call('warm', { port, token: await warmUpToken(secret), requests: times.warmUp });
  await attackers.call('crowd', who);
  const relieve = await attack.hinder?.(server);

  const alone = [await measure(times.alone)];
  if (attack.arm !== undefined) await sleep(Math.max(0, begins - Date.now()));
  const seconds = times.attack;
  server.errors?.pause();
  const [attacked, tally] = await Promise.all([
    measure(seconds),
    attackers.call('attack', { ...who, connections, seconds }),
  ]);
  relieve?.();
  server.errors?.resume();
  // If the disk was slow, it is fast again so that pending publishes can finish: that load cannot be compared with the
  // one before.
  if ((await honest.call('calm')) && relieve === undefined) alone.push(await measure(times.alone));
  const streams = /** @type {string[]} */ (await honest.call('verify'));
  const { ended } = server;

  await Promise.all([honest.stop(), attackers.stop(), server.stop('SIGKILL')]);
  return { alone, attacked, tally: /** @type {Outcome['tally']} */ (tally), streams, ended };
}

/**
 * @param {Server} server
 * @param {Remote} honest
 * @param {number} seconds
 * @returns {Promise<Part>}
 */
async function partOf(server, honest, seconds) {
  if (!server.ended) server.forgetPeak();
  const began = performance.now();
  const before = server.cpuSeconds();
  const load = /** @type {Load} */ (await honest.call('measure', { seconds }));
  const cores = (server.cpuSeconds() - before) / ((performance.now() - began) / 1000);
  return { ...load, cores, peakBytes: server.peakBytes() };
}

/**
 * @param {Attack} attack
 * @param {string} secret
 */
function accountsOf({ accounts = 1, grants }, secret) {
  const names = Array.from({ length: accounts }, (_, index) => `${ACCOUNTS}${index}`);
  return Promise.all(names.map((name) => tokenOf(secret, name, grants?.(ACCOUNTS) ?? {})));
}

/** @param {string} secret */
async function honestTokens(secret) {
  const tokens = (/** @type {string} */ role, /** @type {object} */ grants) =>
    Promise.all(Array.from({ length: PEOPLE }, (_, index) => tokenOf(secret, `${role}-${index}`, grants)));
  return {
    publishers: await tokens('publisher', { sendTo: ['honest-*'] }),
    readers: await tokens('reader', { read: ['honest-*'] }),
  };
}

/** @param {string} secret */
function warmUpToken(secret) {
  return tokenOf(secret, 'warm-up', { sendTo: ['warm-up'], rate: 1_000_000 });
}

/**
 * @param {string} secret
 * @param {string} sub
 * @param {object} tidings
 */
function tokenOf(secret, sub, tidings) {
  return new SignJWT({ sub, tidings })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
}

/**
 * @param {readonly Part[]} parts
 * @param {'publish' | 'health' | 'control'} what
 * @param {'times' | 'computed'} [which]
 * @returns {number} the p99 of all of them together, in milliseconds
 */
export function p99(parts, what, which = 'times') {
  return percentiles(parts.flatMap((part) => part[what][which])).p99;
}

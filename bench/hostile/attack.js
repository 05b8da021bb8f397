/**
 * The target of an attack, and the means of the attack.
 *
 * @typedef {object} Target
 * @property {number} port
 * @property {readonly string[]} tokens of the attack's accounts, the connection's own first
 * @property {number} index of this connection
 * @property {number} connections the number of connections that attack at once
 * @property {boolean} quick
 * @property {AbortSignal} signal ends the attack
 * @property {Tally} tally counts what is sent
 */

/**
 * A kind of attack. `attack` and `crowd` run in the attackers' process; everything else is for the process that starts
 * the service.
 *
 * @typedef {object} Attack
 * @property {string} name on the command line
 * @property {string} about
 * @property {readonly number[]} [connections] the numbers of connections that attack at once, in turn; by default one
 *   and four
 * @property {(accounts: string) => object} [grants] the claim `tidings` of the accounts; `accounts` is the beginning of
 *   their names
 * @property {number} [accounts] the number of tokens; 0 if the attack needs none, by default 1
 * @property {() => string | undefined} [missing] returns a requirement that this machine lacks
 * @property {import('../peers/tidings.js').StartOptions} [start] how the service is started
 * @property {(url: string, quick: boolean) => Promise<void>} [store] fills the log beforehand, through a service in
 *   open mode
 * @property {(database: string, milliseconds: number) => void} [arm] changes the stored log before the start, so that
 *   the attack begins by itself when the time has passed
 * @property {(server: import('../server.js').Server) => Promise<() => void>} [hinder] makes the system under the
 *   service slow, before anything is measured; the result undoes it
 * @property {true} [unreadLog] whether nobody reads the log of the service while it is attacked
 * @property {(target: Target) => Promise<void>} [crowd] opens the connections that the attack needs, before anything is
 *   measured
 * @property {(target: Target) => Promise<void>} attack runs on each of the connections until the signal comes
 */

/** A count of the requests that an attack has sent, and of their answers. */
export class Tally {
  /** The number of requests, or of their equivalents. */
  sent = 0;
  /** The number of answers by status; status 0 if a connection failed instead. @type {Record<number, number>} */
  answers = {};

  /** @param {number} status */
  answered(status) {
    this.answers[status] = (this.answers[status] ?? 0) + 1;
  }
}

/**
 * Where an attack goes, and what it may.
 *
 * @typedef {object} Target
 * @property {number} port
 * @property {readonly string[]} tokens of the attack's accounts, the connection's own first
 * @property {number} index of this connection
 * @property {number} connections how many attack at once
 * @property {boolean} quick
 * @property {AbortSignal} signal ends the attack
 * @property {Tally} tally counts what is sent
 */

/**
 * How the service is attacked. All but `attack` and `crowd` is for the process that starts the service; these two run in
 * the attackers' process.
 *
 * @typedef {object} Attack
 * @property {string} name on the command line
 * @property {string} about
 * @property {readonly number[]} [connections] how many attack at once, in turn; by default one, and four
 * @property {(accounts: string) => object} [grants] the claim `tidings` of the accounts, whose names begin so
 * @property {number} [accounts] how many tokens there are; 0 if the attack needs none, by default 1
 * @property {() => string | undefined} [missing] what it needs and this machine has not
 * @property {import('../peers/tidings.js').StartOptions} [start] how the service is started
 * @property {(url: string, quick: boolean) => Promise<void>} [store] fills the log before, through a service that is open
 * @property {(database: string, milliseconds: number) => void} [arm] changes the stored log before the start, so that the
 *   attack begins by itself when the time has passed
 * @property {(server: import('../server.js').Server) => Promise<() => void>} [hinder] makes the system under the service
 *   slow, before anything is measured; the result undoes it
 * @property {true} [unreadLog] whether nobody reads the log of the service while it is attacked
 * @property {(target: Target) => Promise<void>} [crowd] opens what the attack needs, before anything is measured
 * @property {(target: Target) => Promise<void>} attack runs on each of the connections until the signal comes
 */

/** What an attack has sent, and which answers it had. */
export class Tally {
  /** Requests, or what stands for them. */
  sent = 0;
  /** How many answers of each status; 0 if a connection failed instead. @type {Record<number, number>} */
  answers = {};

  /** @param {number} status */
  answered(status) {
    this.answers[status] = (this.answers[status] ?? 0) + 1;
  }
}

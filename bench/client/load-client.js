import { CONTENT, lastContent, OWN_INBOX } from './template.js';
import { Remote } from './remote.js';

/** @typedef {import('../peers/peer.js').Peer} Peer */
/**
 * The loaded server, or several equal ones.
 *
 * @typedef {object} Server
 * @property {number} port
 * @property {readonly number[]} [ports] the ports of all servers, over which publishers and devices are spread evenly
 * @property {() => number} cpuSeconds
 */

/**
 * @typedef {object} Load
 * @property {number} inFlight publishes in flight
 * @property {number} requests
 * @property {number | undefined} [batch] messages in each request, for a server that takes many in one; 1 if left out
 * @property {string} [recipient] if it is not the inbox that the devices follow
 * @property {number} [inboxes] the number of inboxes over which they are spread, if the recipient is `OWN_INBOX`: a
 *   multiple of `inFlight × batch`, as `requests` is one of `inboxes / batch`
 * @property {string} [sender]
 * @property {string} [content] of each message, in `publish`; `CONTENT` if left out
 * @property {boolean} [timing] whether to measure how long each answer takes
 */

/** @typedef {import('./percentiles.js').Percentiles} Percentiles */

/**
 * Microseconds: the time when the first was sent, the time when the last was answered, and the times until an answer if
 * they were measured.
 *
 * @typedef {{ began: number, ended: number, answers: Percentiles }} Sent
 */

/**
 * The result of one run.
 *
 * @typedef {{ seconds: number, cpuSeconds: number, messages: number, deliveries: number }} Run
 */

/** Milliseconds after which a message that has not come is lost. */
export const PATIENCE = 60_000;

/** The inbox that all devices follow, if they do not have their own. */
export const INBOX = 'inbox';

/** The load on one server: publishers and devices, a process each. */
export class LoadClient {
  #peer;
  #server;
  #publishers = new Remote(new URL('publishers-process.js', import.meta.url));
  #devices = new Remote(new URL('devices-process.js', import.meta.url));
  #patience;
  #runs = 0;
  #count = 0;
  #own = false;

  /**
   * @param {Peer} peer
   * @param {Server} server that is loaded
   * @param {number} [patience] milliseconds after the last publish in which all devices must have everything
   */
  constructor(peer, server, patience = PATIENCE) {
    this.#peer = peer;
    this.#server = server;
    this.#patience = patience;
  }

  /**
   * Opens devices beside those that are open.
   *
   * @param {number} count
   * @param {readonly string[]} recipients the inboxes that each follows; `OWN_INBOX` stands for a different one for
   *   each device
   */
  async open(count, recipients = [INBOX]) {
    this.#count += count;
    this.#own = recipients.length === 1 && recipients[0] === OWN_INBOX;
    const { live, chunked, inOrder } = this.#peer;
    const ports = this.#ports;
    for (const [index, port] of ports.entries()) {
      const text = this.#peer.stream(port, recipients);
      const share = Math.floor((count + index) / ports.length);
      await this.#devices.call('open', { port, text, live, chunked, inOrder, own: this.#own, count: share });
    }
  }

  /** Closes all devices. */
  async close() {
    this.#count = 0;
    await this.#devices.call('close');
  }

  /**
   * Publishes, and waits for the answers.
   *
   * @param {Load} load
   * @returns {Promise<{ seconds: number, messages: number, answers: Percentiles }>} `answers`: microseconds until an
   *   answer, if that was measured
   */
  async publish(load) {
    const { began, ended, answers } = await this.#send(load, load.content ?? CONTENT);
    return { seconds: (ended - began) / 1e6, messages: load.requests * (load.batch ?? 1), answers };
  }

  /**
   * Publishes to the devices, and waits until each of them has everything.
   *
   * @param {Load} load
   * @returns {Promise<Run>}
   * @throws {Refused} if a device missed something, or got something twice
   */
  async deliver({ batch = 1, ...load }) {
    const last = await this.#begin(false);
    const cpu = this.#server.cpuSeconds();
    const { began } = await this.#send({ ...load, batch }, CONTENT);
    const through = await this.#end(last, { ...load, batch });
    const cpuSeconds = this.#server.cpuSeconds() - cpu;
    const messages = load.requests * batch;
    const each = this.#own ? messages / this.#count : messages;
    await this.#devices.call('verify', { messages: each, own: this.#own });
    return { seconds: (through - began) / 1e6, cpuSeconds, messages, deliveries: (each + 1) * this.#count };
  }

  /**
   * Publishes single messages to the devices at set times.
   *
   * @param {{ rate: number, seconds: number, stampEvery: number }} pace
   * @returns {Promise<{ reached: number } & Percentiles>} `reached`: the number answered each second; and the
   *   microseconds from when a message was due to its arrival
   */
  async pace(pace) {
    const last = await this.#begin(true);
    const { port } = this.#server;
    const text = this.#peer.publish(port, INBOX, [CONTENT]);
    const sending = this.#publishers.call('pace', { port, text, ...pace });
    const { sent, reached } = /** @type {{ sent: number, reached: number }} */ (await sending);
    await this.#end(last, { inFlight: 1, requests: 1 });
    await this.#devices.call('verify', { messages: sent, own: false });
    const latencies = this.#devices.call('latencies');
    return { reached, .../** @type {Percentiles} */ (await latencies) };
  }

  get #ports() {
    return this.#server.ports ?? [this.#server.port];
  }

  async stop() {
    await this.#publishers.stop();
    await this.#devices.stop();
  }

  /**
   * @param {boolean} timing
   * @returns {Promise<string>} a text in the last message
   */
  async #begin(timing) {
    const last = `!${String(++this.#runs).padStart(6, '0')};`;
    await this.#devices.call('begin', { last, timing });
    return last;
  }

  /**
   * Sends the last message to each inbox.
   *
   * @param {string} last
   * @param {Load} load the load before it
   * @returns {Promise<number>} when the last device had it
   */
  async #end(last, { batch = 1, ...load }) {
    const rest = this.#own ? { batch, requests: this.#count / batch } : { batch: 1, requests: 1 };
    await this.#send({ ...load, ...rest }, lastContent(last));
    return Number(await this.#devices.call('through', { patience: this.#patience }));
  }

  /**
   * @param {Load} load
   * @param {string} content
   * @returns {Promise<Sent>}
   */
  #send({ inFlight, requests, batch = 1, recipient = this.#own ? OWN_INBOX : INBOX, ...load }, content) {
    const { port } = this.#server;
    const contents = Array.from({ length: batch }, () => content);
    const text = this.#peer.publish(port, recipient, contents, load.sender);
    const inboxes = recipient === OWN_INBOX ? (load.inboxes ?? this.#count) : undefined;
    const { timing } = load;
    const options = { ports: this.#ports, text, inFlight, requests, messages: batch, inboxes, timing };
    return /** @type {Promise<Sent>} */ (this.#publishers.call('publish', options));
  }
}

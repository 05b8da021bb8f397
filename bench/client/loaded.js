import { LoadClient } from './load-client.js';

/** A server and the load on it, which start and stop together. */
export class Loaded {
  #peer;
  #server;
  #devices;
  load;

  /**
   * @param {import('../peers/peer.js').Peer} peer
   * @param {import('../server.js').Server} server
   * @param {number} devices
   */
  constructor(peer, server, devices) {
    this.#peer = peer;
    this.#server = server;
    this.#devices = devices;
    this.load = new LoadClient(peer, server);
  }

  /**
   * @param {import('../peers/peer.js').Peer} peer
   * @param {number} devices that follow one inbox
   * @returns {Promise<Loaded>} when all devices are live
   */
  static async start(peer, devices) {
    const loaded = new Loaded(peer, await peer.start(), devices);
    await loaded.load.open(devices);
    return loaded;
  }

  /**
   * Starts another one in its place. After a run that was refused, its devices lack messages or are closed.
   *
   * @returns {Promise<Loaded>}
   */
  async restart() {
    await this.stop();
    return Loaded.start(this.#peer, this.#devices);
  }

  async stop() {
    await this.load.stop();
    await this.#server.stop();
  }
}

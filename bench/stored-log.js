import { join } from 'node:path';
import { LoadClient } from './client/load-client.js';
import { OWN_INBOX } from './client/template.js';
import { startOn, tidings } from './peers/tidings.js';
import { makeFolder, removeFolder } from './processes.js';

/** The number of inboxes in a spread log. */
const INBOXES = 100;

/** A log that was filled through a service that has ended. */
export class StoredLog {
  #folder = makeFolder();
  /** The file. */
  database = join(this.#folder, 'log.sqlite');

  /**
   * @param {import('./client/load-client.js').Load} load the messages to fill it with
   * @returns {Promise<StoredLog>}
   */
  static async filledWith(load) {
    const log = new StoredLog();
    const server = await log.start();
    const client = new LoadClient(tidings, server);
    await client.publish(load);
    await client.stop();
    await server.stop();
    return log;
  }

  /**
   * @param {number} messages in batches of 100, spread evenly over 100 inboxes
   * @returns {Promise<StoredLog>}
   */
  static spread(messages) {
    const spread = { recipient: OWN_INBOX, inboxes: INBOXES };
    return StoredLog.filledWith({ inFlight: 50, requests: messages / 100, batch: 100, ...spread });
  }

  /** Starts a service on it. */
  start() {
    return startOn(this.database);
  }

  remove() {
    removeFolder(this.#folder);
  }
}

/** A large log, made when it is first asked for. */
export class LargeLog {
  /** The number of its messages. */
  messages;
  #progress;
  /** @type {Promise<StoredLog> | undefined} */
  #stored;

  /**
   * @param {number} messages
   * @param {(line: string) => void} progress
   */
  constructor(messages, progress) {
    this.messages = messages;
    this.#progress = progress;
  }

  /** @returns {Promise<StoredLog>} the same each time */
  stored() {
    this.#stored ??= this.#make();
    return this.#stored;
  }

  async #make() {
    this.#progress(`a log of ${this.messages.toLocaleString('en')} messages is made`);
    const log = await StoredLog.spread(this.messages);
    this.#progress('it is there');
    return log;
  }
}

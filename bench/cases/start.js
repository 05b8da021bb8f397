import { setTimeout as sleep } from 'node:timers/promises';
import { RequestConnection } from '../client/connection.js';
import { get } from '../peers/peer.js';
import { spawnOn, tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';
import { freePort, listening, Server } from '../server.js';

/** The duration of a start. @type {import('../case.js').Case} */
export const start = {
  name: 'start',
  about: 'from the start of the process to its first answer, with a log of 5 million messages',
  run: async ({ scale, largeLog, progress }) => {
    const samples = new Samples(progress);
    const name = `start with a log of ${largeLog.messages.toLocaleString('en')}, to the first 200`;
    const { database } = await largeLog.stored();
    for (let run = 0; run < (scale.quick ? 1 : 5); run++) {
      const seconds = await measure(database);
      samples.add(name, tidings.name, seconds);
      // The service checks the whole file after its start; the next start must not share the disk with that.
      await sleep(100);
    }
    return samples.rows(name, 's', [tidings], { target: { of: 'figure', atMost: 1 } });
  },
};

/**
 * @param {string} database
 * @returns {Promise<number>} seconds
 */
async function measure(database) {
  const port = await freePort();
  const request = Buffer.from(get(port, '/messages?recipient=box-00001&before=latest&limit=1'));
  const began = performance.now();
  const child = spawnOn(database, port);
  await listening(child, port);
  const connection = new RequestConnection(port);
  await new Promise((resolve, reject) => {
    connection.send(request, (error) => (error === undefined ? resolve(undefined) : reject(error)));
  });
  const seconds = (performance.now() - began) / 1000;
  connection.close();
  await new Server(child, port).stop();
  return seconds;
}

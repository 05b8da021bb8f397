import { INBOX, LoadClient } from '../client/load-client.js';
import { orRefused, Remote } from '../client/remote.js';
import { lastContent, OWN_INBOX } from '../client/template.js';
import { tidings } from '../peers/tidings.js';
import { get } from '../peers/peer.js';
import { Samples } from '../samples.js';
import { StoredLog } from '../stored-log.js';

/** @typedef {import('../client/load-client.js').Load} Load */

const BEHIND = 100;

/** A text in the last message of an inbox, for servers that do not say when a stream is live. */
const LAST = '!replay;';

/** Devices that were away. @type {import('../case.js').Case} */
export const replay = {
  name: 'replay',
  about: 'one device 100,000 messages behind, and 1,000 devices 100 behind, all at once',
  run: async ({ scale, peers, progress }) => {
    const messages = scale.quick ? 20_000 : 100_000;
    const herd = scale.quick ? 300 : 1000;
    const samples = new Samples(progress);
    const rateName = `replay to a device ${messages.toLocaleString('en')} messages behind`;
    const memoryName = 'memory that this takes at its peak';
    const herdName = `${herd.toLocaleString('en')} devices ${BEHIND} behind, until all are live`;
    const others = peers.filter((peer) => peer.all !== undefined);
    for (const peer of others) {
      // Once: without batches it takes long to fill them.
      const { rate, seconds } = await measureOther(peer, messages, herd);
      samples.add(rateName, peer.name, rate);
      samples.add(herdName, peer.name, seconds);
    }
    for (let run = 0; run < scale.runs; run++) {
      const { rate, memory } = await measureOne(messages);
      samples.add(rateName, tidings.name, rate);
      samples.add(memoryName, tidings.name, memory);
      const seconds = await measureHerd(herd);
      samples.add(herdName, tidings.name, seconds);
    }
    return [
      ...samples.rows(rateName, 'messages/s', [tidings, ...others], {
        target: { of: 'figure', atLeast: 150_000 },
      }),
      ...samples.rows(memoryName, 'MB', [tidings], { target: { of: 'figure', atMost: 50 } }),
      ...samples.rows(herdName, 's', [tidings, ...others], { target: { of: 'figure', atMost: 1 } }),
    ];
  },
};

/**
 * @param {number} messages
 * @returns {Promise<{ rate: import('../case.js').Figure, memory: import('../case.js').Figure }>} `memory` in megabytes
 */
async function measureOne(messages) {
  const load = { inFlight: 32, requests: messages / 100, batch: 100 };
  /** @type {{ rate: number, memory: number } | string} */
  const result = await afterAbsence(load, async (server, catchUp) => {
    const path = '/stream?recipient=inbox&lastEventId=';
    await catchUp(`${path}${messages - BEHIND}`, 1, BEHIND);
    server.forgetPeak();
    const before = server.residentBytes();
    await catchUp(`${path}0`, 1, messages);
    const memory = (server.peakBytes() - before) / 1e6;
    return { rate: messages / (await catchUp(`${path}0`, 1, messages)), memory };
  });
  return typeof result === 'string' ? { rate: result, memory: result } : result;
}

/**
 * @param {number} herd
 * @returns {Promise<import('../case.js').Figure>} seconds
 */
async function measureHerd(herd) {
  const load = { inFlight: herd / 10, requests: herd, batch: BEHIND, recipient: OWN_INBOX, inboxes: herd };
  return afterAbsence(load, (_, catchUp) =>
    catchUp(`/stream?recipient=${OWN_INBOX}&lastEventId=0`, herd, BEHIND),
  );
}

/**
 * Fills a log, starts the service on it again, and lets devices come back.
 *
 * @template Result
 * @param {Load} load
 * @param {(
 *   server: import('../server.js').Server,
 *   catchUp: (path: string, count: number, missed: number) => Promise<number>,
 * ) => Promise<Result>} measure `catchUp` lets `count` devices come back that missed `missed` messages each, and returns
 *   the seconds until all are live
 * @returns {Promise<Result | string>} the measurement, or why it was refused
 */
async function afterAbsence(load, measure) {
  const log = await StoredLog.filledWith(load);
  const server = await log.start();
  const { port } = server;
  const devices = new Remote(new URL('../client/catch-up-process.js', import.meta.url));
  const result = await orRefused(() =>
    measure(server, async (path, count, messages) => {
      return Number(await devices.call('catchUp', { port, text: get(port, path), count, messages })) / 1e6;
    }),
  );
  await devices.stop();
  await server.stop();
  log.remove();
  return result;
}

/**
 * Fills a server with single publishes, and lets devices ask it for everything. It is not started again: it may keep
 * messages in memory.
 *
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} messages that one device is behind
 * @param {number} herd devices that are 100 behind
 * @returns {Promise<Record<'rate' | 'seconds', import('../case.js').Figure>>} messages a second to the one device;
 *   seconds until all of the herd have everything
 */
async function measureOther(peer, messages, herd) {
  const server = await peer.start(messages + 1);
  const { port } = server;
  const load = new LoadClient(peer, server);
  const devices = new Remote(new URL('../client/catch-up-process.js', import.meta.url));
  const catchUp = async (
    /** @type {string} */ recipient,
    /** @type {number} */ count,
    /** @type {number} */ missed,
  ) => {
    const text = peer.all?.(port, recipient) ?? '';
    const away = { port, text, count, messages: missed, last: LAST, chunked: peer.chunked };
    return Number(await devices.call('catchUp', away)) / 1e6;
  };
  const rate = await orRefused(async () => {
    await load.publish({ inFlight: 32, requests: messages });
    await load.publish({ inFlight: 1, requests: 1, content: lastContent(LAST) });
    await catchUp(INBOX, 1, messages);
    return messages / (await catchUp(INBOX, 1, messages));
  });
  const seconds = await orRefused(async () => {
    const spread = { inFlight: 50, recipient: OWN_INBOX, inboxes: herd };
    await load.publish({ ...spread, requests: herd * BEHIND });
    await load.publish({ ...spread, requests: herd, content: lastContent(LAST) });
    return catchUp(OWN_INBOX, herd, BEHIND);
  });
  await load.stop();
  await devices.stop();
  await server.stop();
  return { rate, seconds };
}

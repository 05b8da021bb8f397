// `npm run bench`: what the service does on this machine. Prints a table in Markdown. Absolute figures change with the
// machine; compare those of one run.
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { publishAll } from './publishers.js';
import { Service } from './service.js';

const content = 'x'.repeat(100);
const single = JSON.stringify({ recipient: 'bob', sender: 'alice', content });
const batch = JSON.stringify(
  Array.from({ length: 100 }, () => ({ recipient: 'bob', sender: 'alice', content })),
);

/** @type {[string, string][]} */
const rows = [];

/**
 * @param {string} name
 * @param {number} figure
 * @param {string} unit
 */
function row(name, figure, unit) {
  rows.push([name, `${Math.round(figure).toLocaleString('en')} ${unit}`]);
  process.stderr.write(`${name}: ${Math.round(figure)} ${unit}\n`);
}

/**
 * @param {number} inFlight
 * @param {number} total requests
 * @param {string} body
 * @param {number} messages in one request
 */
async function acknowledged(inFlight, total, body, messages) {
  const service = await Service.start();
  await publishAll({ port: service.port, inFlight, total: Math.ceil(total / 4), body });
  const time = await publishAll({ port: service.port, inFlight, total, body });
  await service.stop();
  return (total * messages * 1000) / time;
}

/** @param {number} inFlight publishers */
async function fanOut(inFlight) {
  const service = await Service.start();
  const devices = 1000;
  const through = await service.openDevices(devices, 'bob');
  await publishAll({ port: service.port, inFlight, total: 1000, body: single });
  await through(await service.head());
  const total = inFlight * 200;
  const begin = performance.now();
  await publishAll({ port: service.port, inFlight, total, body: single });
  await through(await service.head());
  const time = performance.now() - begin;
  await service.stop();
  return (total * devices * 1000) / time;
}

/** @param {number} count devices */
async function idleMemory(count) {
  const service = await Service.start();
  await service.openDevices(100, 'warm');
  await service.closeDevices();
  await sleep(1000);
  const before = service.memory();
  await service.openDevices(count, 'idle');
  await sleep(1000);
  const memory = (service.memory() - before) / count;
  await service.stop();
  return memory;
}

row('acknowledged, one at a time', await acknowledged(1, 2000, single, 1), 'messages/s');
row('acknowledged, 32 in flight', await acknowledged(32, 20_000, single, 1), 'messages/s');
row('acknowledged, 256 in flight', await acknowledged(256, 40_000, single, 1), 'messages/s');
row('acknowledged, batches of 100, 32 in flight', await acknowledged(32, 2000, batch, 100), 'messages/s');
row('fan-out to 1,000 devices of one inbox, 32 publishers', await fanOut(32), 'events/s');
row('fan-out to 1,000 devices of one inbox, 256 publishers', await fanOut(256), 'events/s');
row('memory of an idle device (1,000 open)', await idleMemory(1000), 'bytes');

const [cpu] = cpus();
process.stdout.write(
  `Node ${process.version}, ${availableParallelism()} × ${cpu?.model ?? 'unknown'}\n\n| case | figure |\n| --- | --- |\n` +
    rows.map(([name, figure]) => `| ${name} | ${figure} |\n`).join(''),
);

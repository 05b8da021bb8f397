#!/usr/bin/env node
/**
 * Starts Firefox with these arguments, and relays between it and Playwright, which drives it by WebDriver
 * BiDi (W3C). Playwright sets the media features of each page with a command that Firefox has only since
 * version 154, whether a test needs it or not; the relay answers that command itself. Remove it once Debian's
 * Firefox has the command.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';

const UNKNOWN = 'emulation.setMediaFeaturesOverride';

// Firefox ends with this process, however this process ends.
const command = ['--pdeathsig', 'KILL', process.env['FIREFOX'] ?? '/usr/bin/firefox-esr'];
const firefox = spawn('setpriv', [...command, ...process.argv.slice(2)], {
  stdio: ['ignore', 'ignore', 'pipe'],
  // Otherwise it would report crashes to its makers.
  env: { ...process.env, MOZ_CRASHREPORTER: undefined, MOZ_CRASHREPORTER_DISABLE: '1' },
});
firefox.on('exit', (code) => process.exit(code ?? 1));
for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']))
  process.on(signal, () => firefox.kill(signal));

for await (const line of createInterface({ input: firefox.stderr })) {
  const address = /^WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
  process.stderr.write(`${address === undefined ? line : line.replace(address, await relay(address))}\n`);
}

/**
 * @param {string} address where Firefox listens
 * @returns {Promise<string>} the address to connect to instead
 */
async function relay(address) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (client, { url }) => void join(client, new WebSocket(`${address}${url}`)));
  await once(server, 'listening');
  return `ws://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** @param {WebSocket} client @param {WebSocket} browser */
async function join(client, browser) {
  const opened = once(browser, 'open');
  const take = async (/** @type {string} */ text) => {
    await opened;
    const command = /** @type {unknown} */ (JSON.parse(text));
    const { id, method } = /** @type {{ id: number, method: string }} */ (command);
    if (method === UNKNOWN) client.send(JSON.stringify({ id, type: 'success', result: {} }));
    else browser.send(text);
  };
  client.on('message', (/** @type {Buffer} */ bytes) => void take(bytes.toString()));
  browser.on('message', (/** @type {Buffer} */ bytes) => client.send(bytes.toString()));
  client.on('close', () => browser.close());
  browser.on('close', () => client.close());
  await opened;
}

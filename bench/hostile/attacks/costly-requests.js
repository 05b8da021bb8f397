import { Agent } from 'node:http';
import { gzipSync } from 'node:zlib';
import { ask, pause } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */

/** Just below the limit of a body. */
const BODY = 4 * 1024 * 1024 - 1000;

/** @type {Attack} */
export const tokensInQuery = {
  name: 'query',
  about: 'a query of 16 KB that looks like tokens again and again, without a token',
  accounts: 0,
  attack: async (target) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const path = `/messages?x=${'eyJ'.repeat(5300)}`;
    while (!target.signal.aborted) await orPause(target, ask(target, agent, path));
    agent.destroy();
  },
};

/** @type {Attack} */
export const bodies = {
  name: 'bodies',
  about: 'compressed bodies of 4 MiB that are costly to read: deep, many values, many names',
  grants: (accounts) => ({ sendTo: [`${accounts}*`] }),
  attack: async (target) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const options = costlyBodies().map((text) => ({
      method: 'POST',
      token: target.tokens[0],
      body: gzipSync(text),
      headers: { 'Content-Encoding': 'gzip' },
    }));
    while (!target.signal.aborted) {
      for (const each of options) await orPause(target, ask(target, agent, '/messages', each));
    }
    agent.destroy();
  },
};

/** @returns {string[]} each costly in a different way */
function costlyBodies() {
  const message = (/** @type {string} */ content) => `{"recipient":"mallory-0","content":${content}}`;
  const deep = '['.repeat(490) + ']'.repeat(490);
  const names = Array.from({ length: 90_000 }, (_, index) => `"k${index}":0`);
  return [
    message(`[${repeated(deep)}]`),
    '['.repeat(BODY / 2) + ']'.repeat(BODY / 2),
    message(`[${repeated('{}')}]`),
    message(`{${names.join(',')}}`),
  ];
}

/** @param {string} value */
function repeated(value) {
  return `${`${value},`.repeat(BODY / (value.length + 1))}0`;
}

/** @type {Attack} */
export const conversations = {
  name: 'conversations',
  about: 'a thousand conversations with last messages of 48 KB, asked for in one page, as fast as answered',
  store: async (url, quick) => {
    const content = 'x'.repeat(48_000);
    for (let peer = 0; peer < 1000; peer += 50) {
      const messages = Array.from({ length: 50 }, (_, index) => ({
        recipient: 'mallory-0',
        sender: `peer-${peer + index}`,
        content: quick ? content.slice(0, 20_000) : content,
      }));
      await fetch(`${url}/messages`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(messages),
      });
    }
  },
  attack: async (target) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const [token] = target.tokens;
    while (!target.signal.aborted) {
      await orPause(target, ask(target, agent, '/conversations?limit=1000', { token }));
    }
    agent.destroy();
  },
};

/** @type {Attack} */
export const debugLog = {
  name: 'debug-log',
  about: 'requests as fast as answered, LOG_LEVEL=debug and nobody who reads the log',
  accounts: 0,
  start: { args: ['--log-level', 'debug'] },
  unreadLog: true,
  attack: async (target) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!target.signal.aborted) await orPause(target, ask(target, agent, '/healthz'));
    agent.destroy();
  },
};

/**
 * Waits for an answer, and a moment longer if there is none, so that a service that has gone is not asked without a
 * pause.
 *
 * @param {import('../attack.js').Target} target
 * @param {Promise<number>} answer
 */
async function orPause(target, answer) {
  if ((await answer) === 0) await pause(target, 20);
}

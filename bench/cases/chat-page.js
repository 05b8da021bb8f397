import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChatBrowser, ME, PEER } from '../browser/chat-browser.js';
import { makeFolder } from '../processes.js';
import { startOn, tidings } from '../peers/tidings.js';
import { FELL_SHORT, Samples } from '../samples.js';

/** @typedef {import('../case.js').Figure} Figure */
/** @typedef {import('../case.js').Target} Target */
/** @typedef {{ sender: string, recipient: string, content: string }} Message */

const KEYS = 'the quick brown fox jumps over a lazy dog';
const WORDS = `${KEYS} while nobody looks at it`.split(' ');

/** The number of messages that come one by one, and the milliseconds between them. */
const MESSAGES = 30;
const MESSAGE_PAUSE = 60;

/** The flood, in messages a second, and the milliseconds between two keys meanwhile. */
const RATE = 200;
const KEY_PAUSE = 150;

/** The number of messages published in one request. */
const BATCH = 100;

const OTHER = { name: 'the other build' };

const UNDER_LOAD = `while ${RATE} messages a second come`;

/** The rows: name, unit, and target. @type {readonly (readonly [string, string, Target?])[]} */
const ROWS = [
  ['CPU for a key', 'ms', { of: 'figure', atMost: 10 }],
  ['CPU for a message to the open conversation', 'ms', { of: 'figure', atMost: 15 }],
  ['CPU for a message to another conversation', 'ms', { of: 'figure', atMost: 15 }],
  [`CPU of the page ${UNDER_LOAD}`, '% of a core'],
  [`from a key to the frame that shows it ${UNDER_LOAD}, p50`, 'ms'],
  [`from a key to the frame that shows it ${UNDER_LOAD}, p95`, 'ms'],
  ['elements in the document', 'count'],
];

/** The cost of the chat page in the browser of somebody with a long history. @type {import('../case.js').Case} */
export const chatPage = {
  name: 'chat-page',
  about: 'what a key and a message cost the chat page in Chromium, with a long history (only if it is named)',
  onlyNamed: true,
  run: async ({ scale, against, progress, note }) => {
    const samples = new Samples(progress);
    const size = scale.quick
      ? { messages: 1000, conversations: 100 }
      : { messages: 5000, conversations: 500 };
    const builds = [
      { name: tidings.name, build: undefined },
      ...(against === undefined ? [] : [{ ...OTHER, build: against }]),
    ];
    for (let run = 0; run < scale.runs; run++) {
      for (const { name, build } of builds) {
        const figures = await measure(build, size, scale.quick ? 3 : 15);
        for (const [index, [what]] of ROWS.entries()) samples.add(what, name, figures[index] ?? NaN);
      }
      // So that neither is always the first.
      builds.reverse();
    }
    builds.sort((one) => (one.name === tidings.name ? -1 : 1));
    note(
      `The chat page has ${size.messages.toLocaleString('en')} messages in the open conversation, and ${size.conversations} others. CPU is that of the page's main thread.`,
    );
    return ROWS.flatMap(([what, unit, target]) =>
      samples.rows(what, unit, builds, target === undefined ? {} : { target }),
    );
  },
};

/**
 * @param {string | undefined} build the folder of another build
 * @param {{ messages: number, conversations: number }} size
 * @param {number} seconds that the flood takes
 * @returns {Promise<Figure[]>} in the order of `ROWS`
 */
async function measure(build, size, seconds) {
  const folder = makeFolder();
  const server = await startOn(join(folder, 'log.sqlite'), { folder, build });
  let browser;
  try {
    await post(server.port, size.conversations, (index) => toMe(personOf(index), index));
    await post(server.port, size.messages, (index) =>
      index % 3 === 0 ? { sender: ME, recipient: PEER, content: textOf(index) } : toMe(PEER, index),
    );
    browser = await ChatBrowser.open(server.port);
    return await measurePage(browser, server.port, seconds);
  } catch (error) {
    return ROWS.map(() => `${FELL_SHORT}no end: ${/** @type {Error} */ (error).message.split('\n')[0]}`);
  } finally {
    await browser?.close();
    await server.stop();
  }
}

/**
 * @param {ChatBrowser} browser
 * @param {number} port
 * @param {number} seconds
 * @returns {Promise<Figure[]>}
 */
async function measurePage(browser, port, seconds) {
  const keys = await browser.cpu(async () => {
    for (const key of KEYS) await browser.press(key);
  });
  const each = async (/** @type {(index: number) => string} */ senderOf) => {
    const all = await browser.cpu(async () => {
      for (let index = 0; index < MESSAGES; index++) {
        await post(port, 1, () => toMe(senderOf(index), index));
        await sleep(MESSAGE_PAUSE);
      }
    });
    return all / MESSAGES;
  };
  const here = await each(() => PEER);
  const elsewhere = await each(personOf);
  await browser.paints();
  const began = performance.now();
  const busy = await browser.cpu(async () => {
    const end = began + seconds * 1000;
    await Promise.all([flood(port, end), type(browser, end)]);
  });
  const took = performance.now() - began;
  const paints = Float64Array.from(await browser.paints()).sort();
  const at = (/** @type {number} */ part) => paints[Math.ceil(paints.length * part) - 1] ?? NaN;
  return [keys / KEYS.length, here, elsewhere, (busy / took) * 100, at(0.5), at(0.95), await browser.nodes()];
}

/** Publishes at a fixed rate. @param {number} port @param {number} end by `performance.now()` */
async function flood(port, end) {
  const began = performance.now();
  let sent = 0;
  while (performance.now() < end) {
    const due = Math.floor(((performance.now() - began) / 1000) * RATE);
    const first = sent;
    await post(port, due - first, (index) => toMe(PEER, first + index));
    sent = due;
    await sleep(20);
  }
}

/** @param {ChatBrowser} browser @param {number} end by `performance.now()` */
async function type(browser, end) {
  for (let index = 0; performance.now() < end; index++) {
    await browser.press(KEYS[index % KEYS.length] ?? ' ');
    await sleep(KEY_PAUSE);
  }
}

/**
 * @param {number} port
 * @param {number} count
 * @param {(index: number) => Message} messageOf
 */
async function post(port, count, messageOf) {
  const all = Array.from({ length: count }, (_, index) => messageOf(index));
  for (let from = 0; from < count; from += BATCH) {
    const answer = await fetch(`http://127.0.0.1:${port}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(all.slice(from, from + BATCH)),
    });
    if (!answer.ok) throw new Error(`not published: ${answer.status} ${await answer.text()}`);
  }
}

/** @param {string} sender @param {number} index @returns {Message} */
function toMe(sender, index) {
  return { sender, recipient: ME, content: textOf(index) };
}

/** @param {number} index */
function personOf(index) {
  return `person ${index}`;
}

/** Returns a text of some words that begins with its number. @param {number} index */
function textOf(index) {
  return [index, ...WORDS.slice(0, index % WORDS.length)].join(' ');
}

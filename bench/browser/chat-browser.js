import { setTimeout as sleep } from 'node:timers/promises';

import { chromium } from 'playwright-core';
import { makeFolder } from '../processes.js';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync'];

/** Milliseconds after which everything that an act began has ended. */
const SETTLED = 1500;

/** Milliseconds that the page may take for all of its history. */
const MAX_SCROLLING = 180_000;

/** The person whose page it is, and the one whose conversation is open. */
export const [ME, PEER] = ['alice', 'bob'];

/** Records, in the page, the milliseconds from a key to the frame that shows it. */
const NOTE_PAINTS = `
  globalThis.paints = [];
  const { port1, port2 } = new MessageChannel();
  let waiting = [];
  port1.onmessage = () => paints.push(...waiting.splice(0).map((pressed) => performance.now() - pressed));
  document.getElementById('text').addEventListener('input', ({ timeStamp }) => {
    waiting.push(timeStamp);
    // The message arrives when the frame is done.
    requestAnimationFrame(() => port2.postMessage(''));
  });
`;

/**
 * Scrolls up, and returns whether the first message is in the document. Pages that keep all of the history have all of
 * it there.
 */
const IS_AT_BEGINNING = `(() => {
  document.getElementById('thread').scrollTop = 0;
  return /^0( |$)/.test(document.querySelector('#messages .text')?.textContent ?? '');
})()`;

const TO_THE_END = `(() => {
  const button = document.getElementById('to-end');
  if (button !== null) button.click();
  const box = document.getElementById('thread');
  box.scrollTop = box.scrollHeight;
})()`;

/** The chat page in Chromium, with the CPU time that its main thread takes. */
export class ChatBrowser {
  #browser;
  #page;
  #debug;

  /**
   * @param {import('playwright-core').Browser} browser
   * @param {import('playwright-core').Page} page
   * @param {import('playwright-core').CDPSession} debug
   */
  constructor(browser, page, debug) {
    this.#browser = browser;
    this.#page = page;
    this.#debug = debug;
  }

  /**
   * Opens the page of `ME` at the conversation with `PEER`, and lets it read all of the history.
   *
   * @param {number} port of the service
   * @throws {Error} if it does not reach the beginning in three minutes
   */
  static async open(port) {
    const env = { ...process.env, HOME: makeFolder() };
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS, env });
    try {
      return await ChatBrowser.#openIn(browser, port);
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  /** @param {import('playwright-core').Browser} browser @param {number} port */
  static async #openIn(browser, port) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(`http://127.0.0.1:${port}/#${PEER}`);
    await page.getByLabel('Your name').fill(ME);
    await page.getByLabel('Your name').press('Enter');
    await page.locator('#messages .message').first().waitFor();
    const end = performance.now() + MAX_SCROLLING;
    // Not `waitForFunction`: it evaluates a text, which the page's policy forbids.
    while (!(await page.evaluate(IS_AT_BEGINNING))) {
      if (performance.now() > end) throw new Error('the history was not read in three minutes');
      await sleep(20);
    }
    await page.evaluate(TO_THE_END);
    await page.evaluate(NOTE_PAINTS);
    await page.locator('#text').focus();
    const debug = await page.context().newCDPSession(page);
    // The time of the thread, without its waits for a core.
    await debug.send('Performance.enable', { timeDomain: 'threadTicks' });
    return new ChatBrowser(browser, page, debug);
  }

  /**
   * @param {() => Promise<unknown>} act
   * @returns {Promise<number>} milliseconds of CPU that the page's main thread takes from the start of the act until
   *   everything has settled
   */
  async cpu(act) {
    await sleep(SETTLED);
    const before = await this.#taskSeconds();
    await act();
    await sleep(SETTLED);
    return ((await this.#taskSeconds()) - before) * 1000;
  }

  /** Presses a key in the composer. @param {string} key */
  async press(key) {
    await this.#page.keyboard.press(key);
  }

  /** Returns the milliseconds that each key since the last call took to become visible. @returns {Promise<number[]>} */
  async paints() {
    return this.#page.evaluate('paints.splice(0)');
  }

  /** Returns the number of nodes in the document. @returns {Promise<number>} */
  nodes() {
    return this.#page.evaluate(`document.querySelectorAll('*').length`);
  }

  async close() {
    await this.#browser.close();
  }

  async #taskSeconds() {
    const { metrics } = await this.#debug.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? NaN;
  }
}

/** `node docs/screenshots.js`: takes the pictures of the README and the guide with Chromium, into `docs/images`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const ROOT = join(import.meta.dirname, '..');
const IMAGES = join(import.meta.dirname, 'images');
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').BrowserContextOptions} BrowserContextOptions */

/** Whole minutes before now, so that the times of the messages differ. @type {[number, string, string, string][]} */
const SAID = [
  [1502, 'dora', 'alice', 'The photos are at https://photos.example/summer. Take your time.'],
  [1490, 'alice', 'dora', 'They are lovely, thank you!'],
  [190, 'carol', 'room-lunch', 'Who is in today?'],
  [188, 'bob', 'room-lunch', 'Me. Noodles again?'],
  [187, 'alice', 'room-lunch', 'Soup for me, the small place by the river'],
  [185, 'dora', 'room-lunch', 'I am there at half past twelve'],
  [44, 'bob', 'alice', 'Did you see that the train at seven is cancelled?'],
  [43, 'alice', 'bob', 'No! Which one is next?'],
  [41, 'bob', 'alice', 'The one at 7:40, with a change. We would still be there before ten.'],
  [40, 'alice', 'bob', 'That is fine. Then I can sleep a bit longer.'],
  [38, 'bob', 'alice', 'I have booked two seats by the window, coach 21'],
  [12, 'carol', 'alice', 'The keys are with the neighbours'],
  [6, 'alice', 'bob', 'Perfect. I bring the coffee, and something to read.'],
  [5, 'bob', 'alice', 'And I bring the map. See you on the platform!'],
];

/** @param {string} database @param {string} [port] */
async function startServer(database, port = '0') {
  const child = spawn(process.execPath, [join(ROOT, 'dist/main.js')], {
    env: { ...process.env, PORT: port, DATABASE: database, LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  /** @type {unknown[]} */
  const said = await once(child.stdout, 'data');
  const origin = /listens on (\S+)/.exec(String(said[0]))?.[1] ?? '';
  return { child, origin };
}

/** @param {string} origin @param {object} message */
async function publish(origin, message) {
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(`${origin}/messages`, {
    method: 'POST',
    headers,
    body: JSON.stringify(message),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return /** @type {{ id: number }} */ (await answer.json());
}

/** What was said comes with times of its own, which a service gives only as it happens. @param {Page} page */
async function setTimes(page) {
  await page.route(/\/(messages|conversations)\?/, async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    const body = text.replace(/"content":("(?:[^"\\]|\\.)*"),"createdAt":"[^"]*"/g, (whole, content) => {
      const said = SAID.find((one) => one[3] === JSON.parse(String(content)));
      if (said === undefined) return whole;
      return `"content":${content},"createdAt":"${new Date(Date.now() - said[0] * 60_000).toISOString()}"`;
    });
    await route.fulfill({ response: answer, body });
  });
}

const folder = mkdtempSync(join(tmpdir(), 'tidings-pictures-'));
const { child, origin } = await startServer(join(folder, 'log.sqlite'), process.env['PORT'] ?? '7070');
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
});

/** @param {string} name @param {string} peer @param {BrowserContextOptions} options */
async function open(name, peer, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  const page = await context.newPage();
  await setTimes(page);
  await page.goto(`${origin}/#${peer}`);
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.locator('#banner[data-state=live]').waitFor();
  return page;
}

/** @param {Page} page @param {string} name */
async function picture(page, name) {
  await page.waitForTimeout(1000);
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
}

try {
  mkdirSync(IMAGES, { recursive: true });
  /** @type {Map<string, number>} */
  const ids = new Map();
  for (const [, sender, recipient, content] of SAID) {
    const { id } = await publish(origin, { sender, recipient, content });
    ids.set(`${sender} ${recipient}`, id);
  }
  // alice has read what dora wrote, and bob what alice wrote.
  for (const [reader, sender] of [
    ['alice', 'dora'],
    ['bob', 'alice'],
  ])
    await publish(origin, {
      sender: reader,
      recipient: sender,
      type: 'read',
      content: { messageId: ids.get(`${sender} ${reader}`) },
    });
  const bob = await open('bob', 'alice');
  await open('dora', 'room-lunch');
  const desktop = { viewport: { width: 1200, height: 720 } };

  const alice = await open('alice', 'room-lunch', { ...desktop, colorScheme: 'light' });
  await alice.goto(`${origin}/#bob`);
  await bob.getByLabel('Message', { exact: true }).pressSequentially('I');
  await picture(alice, 'desktop-light');

  await alice.emulateMedia({ colorScheme: 'dark' });
  await alice.getByRole('button', { name: 'Frames', exact: true }).click();
  await bob.getByLabel('Message', { exact: true }).fill('It is on time, by the way');
  await bob.keyboard.press('Enter');
  await picture(alice, 'desktop-dark');

  const phone = await open('alice', 'bob', {
    viewport: { width: 390, height: 720 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    colorScheme: 'light',
  });
  await picture(phone, 'phone');
} finally {
  await browser.close();
  child.kill();
  rmSync(folder, { recursive: true, force: true });
}

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { publish, send } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { cleanUp, Server } from '../support/server.ts';
import { testWithTool } from '../support/tool.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const testWithCurl = testWithTool('curl', 'curl');

describeInBrowser('the drawer of frames', () => {
  let browser: Browser;
  let server: Server;
  const commands: ChildProcess[] = [];
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), Server.start()]);
  });
  afterEach(async () => {
    for (const command of commands.splice(0)) command.kill();
    for (const context of browser.contexts()) await context.close();
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  async function open(name: string): Promise<ChatPage> {
    const context = await browser.newContext();
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await ChatPage.open(context, server.url, name);
    await page.page.getByRole('button', { name: 'Frames', exact: true }).click();
    return page;
  }

  const rows = ({ page }: ChatPage) =>
    page.getByRole('region', { name: 'Frames of the stream' }).locator('li:visible');
  const clipboard = ({ page }: ChatPage): Promise<string> =>
    page.evaluate(() => navigator.clipboard.readText());

  /**
   * Runs a command of the shell until the test ends.
   *
   * @returns a function that waits until it has printed a text
   */
  function run(command: string, env: Record<string, string> = {}): (text: string) => Promise<void> {
    const shell = spawn('sh', ['-c', command.replace('curl -N', 'exec curl -sS -N')], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    commands.push(shell);
    let output = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    return (text) => until(() => output.includes(text), `the command to print ${text}`);
  }

  test('the drawer shows each frame as it comes: event, id, size, time and JSON', async () => {
    const alice = await open('alice');
    const { id } = await send(server.url, 'alice', 'hé', { sender: 'bob' });
    const row = rows(alice).filter({ hasText: '"hé"' });
    await row.waitFor();
    expect(await row.locator('.event').innerText()).toBe('message');
    const cursor = await row.locator('.id').innerText();
    expect(cursor).toMatch(new RegExp(`^${id}-`));
    const json = await row.locator('pre').innerText();
    expect(JSON.parse(json)).toMatchObject({ id, sender: 'bob', content: 'hé' });
    const frame = `data: ${JSON.stringify(JSON.parse(json))}\nid: ${cursor}\n\n`;
    expect(await row.locator('.size').innerText()).toBe(`${Buffer.byteLength(frame)} B`);
    expect(await rows(alice).locator('.event').first().innerText()).toBe('ready');
    const typing = rows(alice).filter({ hasText: '"typing"' }).first();
    // Not stored, so it is lost if the page reconnects at that moment to watch bob.
    await until(async () => {
      await publish(server.url, {
        sender: 'bob',
        recipient: 'alice',
        type: 'typing',
        content: 1,
        ephemeral: true,
      });
      return typing.isVisible();
    });
    expect(await typing.locator('.id').innerText()).toBe('–');
    expect(alice.errors).toEqual([]);
  });

  test('the frames can be filtered, paused, copied and cleared', async () => {
    const carol = await open('carol');
    for (const text of ['apple', 'pear']) await send(server.url, 'carol', text, { sender: 'dora' });
    const { page } = carol;
    await rows(carol).filter({ hasText: 'pear' }).waitFor();
    // The first frames of the stream must not be counted.
    await carol.watches('dora');
    await page.getByLabel('Filter frames').fill('APPLE');
    await until(async () => (await rows(carol).count()) === 1);
    await send(server.url, 'carol', 'another pear', { sender: 'dora' });
    await send(server.url, 'carol', 'another apple', { sender: 'dora' });
    await until(async () => (await rows(carol).count()) === 2);
    const copy = page.getByRole('button', { name: 'Copy frames' });
    // "Copied" is shown only for a moment: the second click comes as soon as it is.
    const said = await copy.evaluate(async (button: Button) => {
      const writes: Promise<void>[] = [];
      const { clipboard } = navigator;
      const write = clipboard.writeText.bind(clipboard);
      clipboard.writeText = (text) => {
        const written = write(text);
        writes.push(written);
        return written;
      };
      const changed = new Promise<void>((resolve) => {
        new MutationObserver(() => resolve()).observe(button, { childList: true });
      });
      button.click();
      await changed;
      button.click();
      const meanwhile = button.textContent;
      await Promise.all(writes);
      // As long as "Copied" is shown, and begun later.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      return { writes: writes.length, meanwhile, after: button.textContent };
    });
    expect(said).toEqual({ writes: 2, meanwhile: 'Copied', after: 'Copy frames' });
    const copied = (await clipboard(carol)).split('\n\n');
    expect(copied.length).toBe(2);
    expect(copied[1]).toMatch(/^data: \{"id":\d+,.*"another apple".*\nid: \d+-\w+/);

    await page.getByLabel('Filter frames').fill('');
    await page.getByRole('button', { name: 'Pause' }).click();
    const all = await rows(carol).count();
    await send(server.url, 'carol', 'while paused', { sender: 'dora' });
    await page.getByRole('button', { name: /^Continue \([1-9]\d*\)$/ }).waitFor();
    expect(await rows(carol).count()).toBe(all);
    await page.getByRole('button', { name: /^Continue/ }).click();
    await rows(carol).filter({ hasText: 'while paused' }).waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    expect(await rows(carol).count()).toBe(0);
    expect(carol.errors).toEqual([]);
  });

  test('the drawer opens at its newest frame and closes with the keyboard, and gives the focus back', async () => {
    const context = await browser.newContext();
    const emil = await ChatPage.open(context, server.url, 'emil');
    for (let count = 0; count < 30; count++) await send(server.url, 'emil', count, { sender: 'fred' });
    await emil.unread('fred', 30);
    const toggle = emil.page.getByRole('button', { name: 'Frames', exact: true });
    await toggle.press('Enter');
    expect(await toggle.getAttribute('aria-expanded')).toBe('true');
    await rows(emil).last().waitFor();
    const box = emil.page.getByRole('region', { name: 'Frames of the stream' });
    const distance = await box.evaluate(
      (one: { scrollHeight: number; scrollTop: number; clientHeight: number }) =>
        one.scrollHeight - one.scrollTop - one.clientHeight,
    );
    expect(distance).toBeLessThan(2);
    await emil.page.keyboard.press('Escape');
    await box.waitFor({ state: 'hidden' });
    expect(await toggle.evaluate((one: unknown) => one === document.activeElement)).toBe(true);
  });

  testWithCurl.each([['alice'], ['o\'brien & $(touch pwned) `x` \\ "y"'], ['王 %27 #!']])(
    'the drawer has the command that shows the same stream in a terminal, whatever the name: %s',
    async (name) => {
      const page = await open(name);
      await page.turnTo('bob');
      await page.turnTo('room-lunch');
      await until(async () => /room-lunch.*presence=bob/.test(await page.page.locator('#curl').innerText()));
      // The button says so only for a moment, which code in the page does not miss.
      const copy = page.page.getByRole('button', { name: 'Copy the command' });
      const said = await copy.evaluateHandle((button: Button) => ({
        next: new Promise<string>((resolve) => {
          new MutationObserver(() => resolve(button.textContent)).observe(button, { childList: true });
        }),
      }));
      await copy.click();
      expect(await said.evaluate(({ next }) => next)).toBe('Copied');
      const printed = run(await clipboard(page));
      await printed('event: live');
      await send(server.url, name, 'own inbox', { sender: 'bob' });
      await send(server.url, 'room-lunch', 'room', { sender: 'bob' });
      for (const text of ['event: ready', 'event: presence', '"own inbox"', '"room"']) await printed(text);
    },
  );

  testWithCurl('the command of a service with a key takes the token from the environment', async () => {
    const closed = await Server.start({ env: { AUTH_SECRET: SECRET } });
    const token = await tokenFor('alice');
    const alice = await ChatPage.openWithToken(await browser.newContext(), closed.url, token);
    await alice.page.getByRole('button', { name: 'Frames', exact: true }).click();
    const command = await alice.page.locator('#curl').innerText();
    expect(command).not.toContain(token);
    await run(command, { TOKEN: token })('event: ready');
  });
});

/** For code that runs in the page: the browser has the real one. */
interface Button {
  readonly textContent: string;
  readonly click: () => void;
}
declare const document: { activeElement: unknown };
declare const MutationObserver: new (note: () => void) => {
  observe: (what: unknown, how: object) => void;
};
declare const navigator: {
  clipboard: { readText: () => Promise<string>; writeText: (text: string) => Promise<void> };
};

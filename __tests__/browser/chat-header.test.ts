import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Server } from '../support/server.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

/** For code that runs in the page: the browser has the real one. */
declare const document: {
  querySelector: (selector: string) => { getBoundingClientRect: () => { top: number } } | null;
};

describeInBrowser('what stands around a conversation', () => {
  const browser = withFreshPages();
  const server = withServer();

  test.each([
    [195, 'a phone at 200 %'],
    [160, 'a small phone at 200 %'],
  ])('the header has its buttons in a menu if there is no room for them: at %i pixels, %s', async (width) => {
    const context = await browser.newContext({ viewport: { width, height: 422 } });
    const page = await context.newPage();
    await page.goto(server.url);
    await page.getByLabel('Your name').fill(`eva-${width}`);
    await page.getByLabel('Your name').press('Enter');
    const eva = new ChatPage(page);
    await eva.live();
    const menu = page.getByRole('button', { name: 'Menu' });
    await menu.click();
    for (const name of ['Notifications', 'Frames', 'Sign out']) {
      const box = await page.getByRole('button', { name, exact: true }).boundingBox();
      expect(box?.x).toBeGreaterThanOrEqual(0);
      expect((box?.x ?? 0) + (box?.width ?? Infinity)).toBeLessThanOrEqual(width);
    }
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Sign out' }).waitFor({ state: 'hidden' });
    await menu.click();
    await page.getByRole('button', { name: 'Frames', exact: true }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    // There is room again.
    await page.setViewportSize({ width: 800, height: 600 });
    await menu.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Your name').waitFor();
    expect(eva.errors).toEqual([]);
  });

  test('nothing moves when the service is lost and found again', async () => {
    const own = await Server.start();
    const fay = await ChatPage.open(await browser.newContext(), own.url, 'fay', { peer: 'gil' });
    await fay.send('hello');
    await fay.isIn('stored', 'hello');
    const tops = (): Promise<(number | undefined)[]> =>
      fay.page.evaluate(() =>
        ['#conversations', '#thread', '.message', '#composer'].map(
          (part) => document.querySelector(part)?.getBoundingClientRect().top,
        ),
      );
    const before = await tops();
    expect(before).not.toContain(undefined);
    await own.kill();
    await fay.state('offline');
    await fay.page.getByText(/^Offline: /).waitFor();
    expect(await tops()).toEqual(before);
    await Server.start({ port: own.port, database: own.database });
    await fay.connectAnew();
    await fay.live();
    expect(await tops()).toEqual(before);
  });

  test('the page says so if the browser stores nothing, and everything else works', async () => {
    const context = await browser.newContext();
    await context.addInitScript(`
      Storage.prototype.setItem = () => {
        throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
      };`);
    const gus = await ChatPage.open(context, server.url, 'gus', { peer: 'hal' });
    await gus.page.getByRole('alert').getByText('This browser cannot store anything for this page').waitFor();
    await gus.send('though nothing is kept');
    await gus.isIn('stored', 'though nothing is kept');
    await gus.page.getByRole('alert').getByRole('button', { name: 'Got it' }).click();
    await send(server.url, 'gus', 'an answer', { sender: 'hal' });
    await gus.shows('though nothing is kept', 'an answer');
    // It is said only once.
    expect(await gus.page.getByRole('alert').count()).toBe(0);
    expect(gus.errors).toEqual([]);
  });

  test.each(['drop', 'paste'])(
    'the page stays when it gets a file: the %s of a file is refused in words',
    async (what) => {
      const ian = await ChatPage.open(await browser.newContext(), server.url, `ian-${what}`, { peer: 'joy' });
      const isPrevented = await ian.page.evaluate(`{
      const data = new DataTransfer();
      data.items.add(new File(['x'], 'x.png', { type: 'image/png' }));
      const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
      const event = new ${what === 'drop' ? 'DragEvent' : 'ClipboardEvent'}('${what}', options);
      !document.getElementById('text').dispatchEvent(event);
    }`);
      expect(isPrevented).toBe(true);
      await ian.page.getByRole('alert').getByText('You cannot send files or pictures').waitFor();
      await ian.send('still here');
      await ian.isIn('stored', 'still here');
    },
  );

  test('an empty conversation has something to try: a second window, and a line for a terminal', async () => {
    const context = await browser.newContext();
    const kim = await ChatPage.open(context, server.url, 'kim', { peer: "o'lea" });
    const link = kim.page.getByRole('link', { name: "Open a second window as o'lea" });
    const opened = context.waitForEvent('page');
    await link.click();
    const lea = new ChatPage(await opened);
    await lea.live();
    expect(await lea.page.locator('#me').innerText()).toBe("o'lea");
    await lea.send('from the second window');
    await kim.shows('from the second window');
    await lea.page.reload();
    await lea.live();
    expect(await lea.page.locator('#me').innerText()).toBe("o'lea");
    await link.waitFor({ state: 'hidden' });

    await kim.turnTo('max');
    const line = kim.page.locator('#write-command', { hasText: '"sender":"max"' });
    const command = await line.innerText();
    execFileSync('sh', ['-c', command], { stdio: 'ignore' });
    await until(async () => (await kim.texts()).join() === 'Hello from a terminal');
    // Of the same name: later windows take the name of the first window.
    const third = new ChatPage(await context.newPage());
    await third.page.goto(server.url);
    await third.live();
    expect(kim.errors).toEqual([]);
  });

  test('messages of one person within a minute are grouped', async () => {
    const ned = await ChatPage.open(await browser.newContext(), server.url, 'ned', { peer: 'ora' });
    for (const text of ['one', 'two', 'three']) await send(server.url, 'ned', text, { sender: 'ora' });
    await send(server.url, 'ora', 'answer', { sender: 'ned' });
    await ned.shows('one', 'two', 'three', 'answer');
    const rows = await ned.log
      .locator('.message')
      .evaluateAll((all: { className: string }[]) =>
        all.map(({ className }) => className.split(' ').filter((name) => name.startsWith('continue'))),
      );
    // The minute may have changed in between.
    expect(rows[0]).not.toContain('continues');
    expect(rows.at(-1)).toEqual([]);
    expect(rows.slice(0, 3).flat().length).toBeGreaterThanOrEqual(2);
    const turns = rows.slice(0, 3).filter((names) => !names.includes('continued'));
    expect(await ned.log.locator('.avatar:visible').count()).toBe(turns.length);
  });
});

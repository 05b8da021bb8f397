import { expect, test } from '@jest/globals';
import { get, send } from '../support/api.ts';
import { startBasePathProxy } from '../support/base-path-proxy.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

const MAX_CONTENT = 48 * 1024;

describeInBrowser('what a message says', () => {
  const browser = withFreshPages();
  const server = withServer();

  const open = async (name: string, peer: string): Promise<ChatPage> =>
    ChatPage.open(await browser.newContext(), server.url, name, { peer });

  /** How far the page and the thread reach beyond their width. */
  const overflow = ({ page }: ChatPage): Promise<number> =>
    page.evaluate(() => {
      const boxes = [document.documentElement, ...document.querySelectorAll('.thread, .sidebar, .top')];
      return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
    });

  test('a message is shown as text, whatever it looks like, in the conversation, in the list and in the frames', async () => {
    const html = '<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b>';
    const alice = await open('alice', '<i>mallory</i>');
    await alice.page.getByRole('button', { name: 'Frames', exact: true }).click();
    await send(server.url, 'alice', html, { sender: '<i>mallory</i>' });
    await alice.shows(html);
    await send(server.url, 'alice', { html }, { sender: '<i>mallory</i>' });
    await alice.shows(html, JSON.stringify({ html }, undefined, 2));
    await alice.row('<i>mallory</i>').getByText('onerror').waitFor();
    expect(await alice.page.locator('img[src=x], main script, main b, nav b, i, aside b').count()).toBe(0);
    expect(alice.errors).toEqual([]);
    expect(alice.strayRequests(server.url)).toEqual([]);
  });

  test('a message has links only to the web, which tell nothing of this page and end where the address ends', async () => {
    const bob = await open('bob', 'carol');
    const text =
      'javascript:alert(1) data:text/html,x //evil.example (https://example.com/a?b=1&c=[2]#d). ' +
      'HTTP://EXAMPLE.ORG! https:// https://[ https://good.example/\u202egnp.exe "https://q.example"';
    await send(server.url, 'bob', text, { sender: 'carol' });
    await bob.shows(text);
    const links = bob.log.getByRole('link');
    expect(
      await links.evaluateAll((all: { getAttribute: (name: string) => string }[]) =>
        all.map((link) => link.getAttribute('href')),
      ),
    ).toEqual([
      'https://example.com/a?b=1&c=[2]#d',
      'HTTP://EXAMPLE.ORG',
      'https://good.example/',
      'https://q.example',
    ]);
    for (const link of await links.all()) {
      expect(await link.getAttribute('rel')).toBe('noopener noreferrer');
      expect(await link.getAttribute('target')).toBe('_blank');
    }
  });

  test.each<[string, unknown, string]>([
    ['right-to-left letters, marks and overrides', 'a \u202eevil\u202c \u2067ש\u200f \u2066 ליל', ''],
    ['48 KiB in one word', 'x'.repeat(MAX_CONTENT - 2), 'Show all 49150 characters'],
    ['emoji', '🦊👩‍👩‍👧‍👦🏳️‍🌈 é\u0301', ''],
    ['a thousand lines', 'line\n'.repeat(1000), 'Show all 5000 characters'],
    ['JSON nested 500 deep', JSON.parse('[{"a":'.repeat(250) + '1' + '}]'.repeat(250)), ''],
    ['a number', 0, ''],
    ['null', null, ''],
    ['an empty string', '', ''],
  ])('a message of %s stays within its place', async (what, content, more) => {
    const alice = await open(what, 'bob');
    await alice.page.setViewportSize({ width: 360, height: 640 });
    await send(server.url, what, content, { sender: 'bob' });
    await until(async () => (await alice.texts()).length === 1);
    const bubble = alice.log.locator('.bubble');
    expect((await bubble.boundingBox())?.height).toBeLessThan(
      3000 + (what === 'a thousand lines' ? 20_000 : 0),
    );
    // The page gets its new width some time after the call, and the header adapts in the frame after that.
    await until(async () => (await alice.page.evaluate('innerWidth')) === 360, 'the new width');
    await until(async () => (await overflow(alice)) <= 0, 'the page to be no wider than its window');
    if (more !== '') {
      await bubble.getByRole('button', { name: more }).click();
      expect(await alice.texts()).toEqual([content]);
      expect(await overflow(alice)).toBeLessThanOrEqual(0);
    }
    // The time below the message looks as usual.
    expect(await bubble.locator('footer').innerText()).toMatch(/^\d\d?:\d\d/);
    expect(alice.errors).toEqual([]);
  });

  test('a message that is too long is shown as not sent, with the reason', async () => {
    const dora = await open('dora', 'bob');
    await dora.page.getByLabel('Message', { exact: true }).fill('y'.repeat(MAX_CONTENT));
    await dora.page.getByLabel('Message', { exact: true }).press('Enter');
    await dora.log
      .locator('.refused')
      .getByText(/Not sent: .*(48|content)/i)
      .waitFor();
    await dora.send('short');
    await dora.isIn('stored', 'short');
  });

  test('the page sends requests only to its service, even under a base path, with the same files and a strict policy', async () => {
    const answer = await get(server.url, '/healthz').then(() => fetch(server.url));
    const policy = answer.headers.get('Content-Security-Policy') ?? '';
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      'trusted-types tidings-worker',
    ]) {
      expect(policy).toContain(rule);
    }
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    const proxy = await startBasePathProxy(server.url, '/push/tidings');
    try {
      const hans = await ChatPage.open(await browser.newContext(), proxy.url, 'hans');
      await hans.turnTo('hans');
      await hans.send('through a proxy');
      await hans.isIn('stored', 'through a proxy');
      await hans.shows('through a proxy');
      for (const request of hans.requests) {
        expect(request.url()).toMatch(proxy.url);
        if (!request.url().includes('/stream'))
          expect((await request.response())?.status()).toBeLessThan(400);
      }
      expect(await hans.page.locator('#curl').textContent()).toContain(`'${proxy.url}stream?recipient=hans`);
      expect(hans.errors).toEqual([]);
    } finally {
      proxy.close();
    }
  });
});

/** For code that runs in the page: the browser has the real one. */
interface Box {
  readonly scrollWidth: number;
  readonly clientWidth: number;
}
declare const document: { documentElement: Box; querySelectorAll: (selector: string) => Iterable<Box> };

import { afterAll, beforeAll, expect } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { Proxy, proxyTest } from '../support/proxy.ts';
import { cleanUp } from '../support/server.ts';
import { tokenFor } from '../support/tokens.ts';

const nginxTest = proxyTest('nginx');

describeInBrowser('the page behind nginx, as deploy has it', () => {
  let browser: Browser;
  let url: string;
  beforeAll(async () => {
    // The certificate is self-signed. A context that accepts it still accepts no service worker.
    const launching = launchBrowser(['--ignore-certificate-errors']);
    const [launched, { proxies }] = await Promise.all([launching, Proxy.start('nginx')]);
    [browser, url] = [launched, proxies[0]?.url ?? ''];
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  nginxTest(
    'the page behind nginx has its session and uses one connection, and two people talk',
    async () => {
      const open = async (name: string): Promise<ChatPage> =>
        ChatPage.openWithToken(
          await browser.newContext(),
          url,
          await tokenFor(name, { sendTo: ['*'], presence: ['*'] }),
        );
      const [alice, bob] = await Promise.all([open('alice'), open('bob')]);
      await alice.turnTo('bob');
      await bob.turnTo('alice');
      await alice.send('hello');
      await bob.shows('hello');
      await bob.send('hello yourself');
      await alice.shows('hello', 'hello yourself');
      expect(await alice.page.locator('#banner').getAttribute('data-state')).toBe('live');
      const protocols = await alice.page.evaluate<string[]>(
        `performance.getEntriesByType('resource').map(({ nextHopProtocol }) => nextHopProtocol)`,
      );
      expect(new Set(protocols)).toEqual(new Set(['h2']));
      const [session] = await alice.page.context().cookies();
      expect(session).toMatchObject({ name: '__Host-tidings', httpOnly: true, sameSite: 'Strict' });
      expect(alice.errors).toEqual([]);
      expect(bob.errors).toEqual([]);
    },
  );
});

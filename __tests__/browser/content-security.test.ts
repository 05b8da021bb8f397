import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser, knowing, launchBrowser, inWholeBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { OtherSite } from '../support/other-site.ts';
import { PushBrowser, PushWorker, SENDS_NOTHING } from '../support/push-browser.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const EVIL = 'evil.example';

/** Notes in every page what its policy refused. */
const LISTEN = `
  globalThis.violations = [];
  addEventListener('securitypolicyviolation', ({ effectiveDirective }) => violations.push(effectiveDirective));
`;

describeInBrowser('the policy of the page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  let other: OtherSite;
  beforeAll(async () => {
    [browser, server, other] = await Promise.all([
      launchBrowser(knowing([EVIL])),
      Server.start({ env: SENDS_NOTHING }),
      OtherSite.start(),
    ]);
  });
  beforeEach(async () => {
    context = await browser.newContext();
    await context.addInitScript(LISTEN);
  });
  afterEach(() => context.close());
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    other.stop();
    await cleanUp();
  });

  /** Opens the page as it would be if somebody had got this HTML into the end of its body. */
  async function openWith(html: string): Promise<Page> {
    const page = await context.newPage();
    await page.route(`${server.url}/`, async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace('</body>', `${html}</body>`);
      await route.fulfill({ response, body });
    });
    await page.goto(server.url);
    return page;
  }

  const violations = (page: Page): Promise<string[]> => page.evaluate('violations');

  test.each<[string, string, (evil: string) => string]>([
    ['a script in the page', 'script-src-elem', () => '<script>globalThis.pwned = 1</script>'],
    ['a script of another site', 'script-src-elem', (evil) => `<script src="${evil}/x.js"></script>`],
    [
      'a handler in an attribute',
      'script-src-attr',
      () => '<img src="favicon.svg" onload="globalThis.pwned = 1">',
    ],
    ['a picture of another site', 'img-src', (evil) => `<img src="${evil}/x.png">`],
    ['a style of another site', 'style-src-elem', (evil) => `<link rel="stylesheet" href="${evil}/x.css">`],
    ['a style in the page', 'style-src-elem', () => '<style>body { display: none }</style>'],
    [
      'a font of another site',
      'font-src',
      (evil) => `<link rel="preload" as="font" crossorigin href="${evil}/x">`,
    ],
    ['a frame of another site', 'frame-src', (evil) => `<iframe src="${evil}/x"></iframe>`],
    ['a frame with a script', 'frame-src', () => '<iframe src="data:text/html,x"></iframe>'],
    ['an object of another site', 'object-src', (evil) => `<object data="${evil}/x"></object>`],
    ['a sound of another site', 'media-src', (evil) => `<audio src="${evil}/x"></audio>`],
    ['a base', 'base-uri', (evil) => `<base href="${evil}/">`],
  ])('the policy of the page blocks %s', async (_what, directive, html) => {
    const before = other.requests.length;
    const page = await openWith(html(other.origin(EVIL)));
    await until(async () => (await violations(page)).length > 0);
    expect(new Set(await violations(page))).toEqual(new Set([directive]));
    expect(await page.evaluate('typeof pwned')).toBe('undefined');
    expect(await page.evaluate('document.baseURI')).toBe(`${server.url}/`);
    expect(other.requests.slice(before)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['a link that is a script', 'script-src-elem', '<a id="x" href="javascript:globalThis.pwned=1">x</a>'],
    ['a form to another site', 'form-action', '<form id="x" method="post" action="EVIL/x"></form>'],
    ['a form that is a script', 'form-action', '<form id="x" action="javascript:globalThis.pwned=1"></form>'],
  ])('the policy of the page blocks %s', async (_what, directive, html) => {
    const before = other.requests.length;
    const page = await openWith(html.replace('EVIL', other.origin(EVIL)));
    await page.evaluate(`{ const x = document.getElementById('x'); x.submit ? x.submit() : x.click(); }`);
    await until(async () => (await violations(page)).length > 0);
    expect(new Set(await violations(page))).toEqual(new Set([directive]));
    expect(await page.evaluate('typeof pwned')).toBe('undefined');
    expect(page.url()).toBe(`${server.url}/`);
    expect(other.requests.slice(before)).toEqual([]);
  });

  test.each([
    // Text is refused before the browser checks where it would run.
    ['eval', 'require-trusted-types-for', `setTimeout(() => eval('globalThis.pwned = 1'))`],
    [
      'a function made of text',
      'require-trusted-types-for',
      `setTimeout(() => new Function('globalThis.pwned = 1')())`,
    ],
    ['fetch from another site', 'connect-src', `fetch('EVIL/x', { mode: 'no-cors' }).catch(() => 0)`],
    ['a beacon to another site', 'connect-src', `navigator.sendBeacon('EVIL/x', 'x')`],
    ['an EventSource of another site', 'connect-src', `void new EventSource('EVIL/x')`],
    ['a WebSocket of another site', 'connect-src', `try { new WebSocket('EVIL/x') } catch {}`],
    ['a worker of another site', 'require-trusted-types-for', `try { new Worker('EVIL/x') } catch {}`],
    ['text as HTML', 'require-trusted-types-for', `try { document.body.innerHTML = '<i>x</i>' } catch {}`],
    [
      'a policy that lets text be HTML',
      'trusted-types',
      `try { trustedTypes.createPolicy('x', {}) } catch {}`,
    ],
    [
      'another policy of the name that is allowed',
      'trusted-types',
      `try { trustedTypes.createPolicy('tidings-worker', { createHTML: String }) } catch {}`,
    ],
    [
      'another service worker',
      'require-trusted-types-for',
      `navigator.serviceWorker.register('client.js').catch(() => 0)`,
    ],
    [
      'a service worker that the page has not made the address of',
      'require-trusted-types-for',
      `navigator.serviceWorker.register('sw.js').catch(() => 0)`,
    ],
  ])('the policy of the page blocks %s', async (_what, directive, script) => {
    const before = other.requests.length;
    const page = await context.newPage();
    await page.goto(server.url);
    // In a task of the page itself, because code of a debugger has more rights.
    await page.evaluate(`void setTimeout(() => { ${script.replace('EVIL', other.origin(EVIL))} })`);
    await until(async () => (await violations(page)).length > 0);
    expect(await violations(page)).toContain(directive);
    expect(await page.evaluate('typeof pwned')).toBe('undefined');
    expect(await page.evaluate('navigator.serviceWorker.getRegistration()')).toBeUndefined();
    expect(other.requests.slice(before)).toEqual([]);
  });

  test('the policy of the page allows one address of a script alone to a worker', async () => {
    const page = await context.newPage();
    await page.addInitScript(`{
      const { createPolicy } = TrustedTypePolicyFactory.prototype;
      TrustedTypePolicyFactory.prototype.createPolicy = function (...given) {
        return (globalThis.policy = createPolicy.apply(this, given));
      };
    }`);
    await page.goto(server.url);
    await until(() => page.evaluate('globalThis.policy !== undefined'));
    const made = (address: string): Promise<string> =>
      page.evaluate(
        `(() => { try { return String(policy.createScriptURL('${address}')) } catch ({ name }) { return name } })()`,
      );
    expect(await made('sw.js')).toBe('sw.js');
    for (const address of ['', 'client.js', '/sw.js', 'sw.js?x', `${other.origin(EVIL)}/sw.js`, 'data:,']) {
      expect({ address, made: await made(address) }).toEqual({ address, made: 'TypeError' });
    }
    for (const make of ['createHTML', 'createScript']) {
      expect(
        await page.evaluate(
          `(() => { try { return String(policy.${make}('x')) } catch ({ name }) { return name } })()`,
        ),
      ).toBe('TypeError');
    }
  });

  test.each([
    // The service refuses the first, and the browser the second, because the policy says so.
    ['another site', EVIL, 403, /^http:/],
    ['another port', '127.0.0.1', 200, /^chrome-error:/],
  ] as const)('the policy keeps the page out of the frames of %s', async (_what, name, status, shown) => {
    const page = await other.open(context, name);
    const answered = page.waitForResponse(`${server.url}/`);
    await page.evaluate(`{
      const frame = document.createElement('iframe');
      frame.onload = () => (globalThis.loaded = true);
      frame.src = '${server.url}/';
      document.body.append(frame);
    }`);
    await until(() => page.evaluate('globalThis.loaded === true'));
    expect((await answered).status()).toBe(status);
    // The page hears of it before the test does.
    await until(() => shown.test(page.frames()[1]?.url() ?? ''), 'what stands in the place of the page');
    expect(await page.frames()[1]?.locator('#app').count()).toBe(0);
  });

  test('the policy allows everything that the page does, and the console says nothing', () =>
    inWholeBrowser(async (whole) => {
      const context = await whole.newContext();
      await context.addInitScript(LISTEN);
      await PushBrowser.prepare(context, server.url);
      await context.grantPermissions(['notifications'], { origin: server.url });
      const page = await ChatPage.open(context, server.url, 'bob', { peer: 'alice' });
      await page.page.getByRole('button', { name: 'Notifications' }).click();
      await page.page.getByRole('button', { name: 'Notifications', pressed: true }).waitFor();
      await send(server.url, 'bob', '<b>one</b>', { sender: 'alice' });
      await page.send('two');
      await page.shows('<b>one</b>', 'two');
      await page.page.getByRole('button', { name: 'Frames', exact: true }).click();
      await page.page.getByRole('button', { name: 'Copy the command' }).click();
      expect(await violations(page.page)).toEqual([]);
      expect(page.errors).toEqual([]);
    }));

  test('the policy of the service worker is another: it runs nothing else, and talks to the service alone', () =>
    inWholeBrowser(
      async (whole) => {
        const context = await whole.newContext();
        const { headers } = await fetch(`${server.url}/sw.js`);
        expect(Object.fromEntries(headers)).toMatchObject({
          'content-type': 'text/javascript; charset=utf-8',
          'content-security-policy':
            "default-src 'none';connect-src 'self';img-src 'self';require-trusted-types-for 'script';trusted-types 'none'",
          'cache-control': 'no-cache',
          'x-content-type-options': 'nosniff',
          'cross-origin-resource-policy': 'same-origin',
        });
        await PushBrowser.prepare(context, server.url);
        await context.grantPermissions(['notifications'], { origin: server.url });
        const { page } = await ChatPage.open(context, server.url, 'bob');
        await page.getByRole('button', { name: 'Notifications' }).click();
        const worker = await PushWorker.lookInto(context, server.url);
        const before = other.requests.length;
        const evil = `${other.origin(EVIL)}/x`;
        const tried = async (script: string): Promise<string> =>
          worker.run(
            `(async () => { try { await (${script}); return 'done' } catch ({ name }) { return name } })()`,
          );
        expect(await tried(`fetch('/healthz')`)).toBe('done');
        expect(await tried(`fetch('${evil}', { mode: 'no-cors' })`)).toBe('TypeError');
        expect(await tried(`importScripts('/client.js')`)).not.toBe('done');
        expect(other.requests.slice(before)).toEqual([]);
      },
      knowing([EVIL]),
    ));

  test('the policy goes with every file of the page, and data goes without a cache or a guess at its type', async () => {
    for (const path of ['/', '/client.js', '/chat/base.css', '/favicon.svg', '/nothing']) {
      const { headers } = await fetch(server.url + path);
      const policy = headers.get('content-security-policy')?.split(';').toSorted();
      expect({ path, policy }).toEqual({
        path,
        policy: [
          "base-uri 'none'",
          "connect-src 'self'",
          "default-src 'none'",
          "form-action 'none'",
          "frame-ancestors 'none'",
          "img-src 'self'",
          "manifest-src 'self'",
          "require-trusted-types-for 'script'",
          "script-src 'self'",
          "style-src 'self'",
          'trusted-types tidings-worker',
          "worker-src 'self'",
        ],
      });
      expect(Object.fromEntries(headers)).toMatchObject({
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(headers.get('x-powered-by')).toBeNull();
    }
    const data = [
      '/messages?recipient=bob',
      '/messages/0',
      '/conversations?recipient=bob',
      '/presence?recipient=bob',
    ];
    for (const path of [...data, '/session', '/healthz', '/readyz', '/messages?bad=1']) {
      const { headers } = await fetch(server.url + path);
      expect({ path, ...Object.fromEntries(headers) }).toMatchObject({
        path,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      });
    }
    const stream = await fetch(`${server.url}/stream?recipient=bob`);
    expect(stream.headers.get('x-content-type-options')).toBe('nosniff');
    expect(stream.headers.get('cache-control')).toBe('no-store, no-transform');
    await stream.body?.cancel();
  });
});

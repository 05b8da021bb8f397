/** A page of another site: it has no cookie of the service, and follows its inbox with tokens. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { publish } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { OtherSite } from '../support/other-site.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

interface Told {
  readonly states: string[];
  readonly contents: unknown[];
  readonly tokens: number;
}

describeInBrowser('a page of another site', () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  let site: OtherSite;
  beforeAll(async () => {
    site = await OtherSite.start();
    const origins = ['localhost', '127.0.0.1'].map((name) => site.origin(name)).join(',');
    const env = { AUTH_SECRET: SECRET, CORS_ORIGINS: origins };
    [browser, server] = await Promise.all([launchBrowser(), Server.start({ env })]);
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    site.stop();
    await cleanUp();
  });

  /** Opens a page at `localhost` while the service is at `127.0.0.1`: for a browser these are two sites. */
  async function open(transport: string | undefined, seconds: () => number): Promise<Page> {
    const page = await context.newPage();
    let tokens = 0;
    await page.exposeBinding('newToken', () => {
      tokens++;
      return tokenFor('alice', { sendTo: ['*'] }, { exp: secondsFromNow(seconds()) });
    });
    await page.exposeBinding('tokens', () => tokens);
    await page.goto(site.origin('localhost'));
    await page.evaluate(
      `(async () => {
        const { connect } = await import('${server.url}/client.js');
        globalThis.told = { states: [], contents: [] };
        globalThis.connection = connect({
          recipient: 'alice',
          token: () => newToken(),
          ...${JSON.stringify(transport === undefined ? {} : { transport })},
          onMessage: ({ content }) => void told.contents.push(content),
          onStatus: ({ state }) => void told.states.push(state),
        });
      })()`,
    );
    return page;
  }

  const toldTo = (page: Page): Promise<Told> =>
    page.evaluate<Told>(`(async () => ({ ...told, tokens: await tokens() }))()`);

  const waitForState = (page: Page, state: string): Promise<void> =>
    until(async () => (await toldTo(page)).states.at(-1) === state, `the state ${state}`);

  test.each([undefined, 'fetch', 'polling'])(
    'a page of another site with a token (%s) is live, sends, and gets its messages once',
    async (transport) => {
      const page = await open(transport, () => 600);
      await waitForState(page, 'live');
      for (const content of [1, 2, 3])
        await page.evaluate(`connection.send({ recipient: 'alice', content: ${content} })`);
      await until(async () => (await toldTo(page)).contents.length === 3);
      expect(await toldTo(page)).toMatchObject({ contents: [1, 2, 3], tokens: 1 });
      expect(await context.cookies()).toEqual([]);
      await page.evaluate('connection.signOut()');
      await waitForState(page, 'signed-out');
    },
  );

  test('a page of another site gets new tokens as they expire, without a loop, and misses nothing', async () => {
    let count = 0;
    const page = await open(undefined, () => (count++ < 2 ? 2 : 600));
    const end = performance.now() + 6000;
    const sent: number[] = [];
    while (performance.now() < end) {
      const answer = await publish(
        server.url,
        { recipient: 'alice', content: sent.length },
        bearer(await tokenFor('backend', { sendTo: ['*'] })),
      );
      expect(answer.status).toBe(201);
      sent.push(sent.length);
      await page.waitForTimeout(100);
    }
    await until(async () => (await toldTo(page)).contents.at(-1) === sent.at(-1), 'the last message');
    const { contents, tokens } = await toldTo(page);
    expect(contents).toEqual(sent.slice(sent.indexOf(contents[0] as number)));
    expect(tokens).toBe(3);
  });

  test.each([
    ['127.0.0.1', 'On the service’s own site', 'const signIn'],
    ['localhost', 'On another site', 'import { connect }'],
  ])('a page at %s follows an inbox as docs/client.md says: %s', async (host, _where, beginning) => {
    const page = await context.newPage();
    await page.exposeBinding('fetchTokenFromYourBackend', () => tokenFor('alice', { sendTo: ['*'] }));
    const shown: unknown[] = [];
    await page.exposeBinding(
      'show',
      (_source, { content }: { content: unknown }) => void shown.push(content),
    );
    await page.goto(site.origin(host));
    const sample = sampleOf(beginning).replaceAll('https://push.example.org', server.url);
    const imported = sample.includes('import {') ? '' : `import { connect } from '${server.url}/client.js';`;
    await page.addScriptTag({ type: 'module', content: `${imported}\n${sample}` });
    await until(async () => {
      const answer = await publish(
        server.url,
        { recipient: 'alice', content: 'hi' },
        bearer(await tokenFor('backend', { sendTo: ['*'] })),
      );
      expect(answer.status).toBe(201);
      await page.waitForTimeout(100);
      return shown.includes('hi');
    });
  });
});

/** Returns the sample of docs/client.md that begins with these words. */
function sampleOf(beginning: string): string {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/client.md'), 'utf8');
  const [, part = ''] = docs.split('## With tokens');
  const samples = [...part.matchAll(/```js\n(.*?)```/gs)].map(([, sample = '']) => sample);
  const found = samples.find((sample) => sample.startsWith(beginning));
  if (found === undefined) throw new Error(`docs/client.md has no sample that begins with ${beginning}`);
  return found;
}

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { publish } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** Gets a session with the token that the page has at hand. */
const SIGN_IN = `fetch('/session', { method: 'PUT', headers: { Authorization: 'Bearer ' + globalThis.token } })
  .then((answer) => { if (!answer.ok) throw new Error('no session: ' + answer.status); })`;
const RENEWING = `{ onExpired: () => { note('expired', 'asked'); return ${SIGN_IN}; } }`;
const SHORT = 2;
const LONG = 600;

/** A token of somebody who may send to everyone, for so many seconds. */
const tokenOf = (sub: string, seconds: number): Promise<string> =>
  tokenFor(sub, { sendTo: ['*'] }, { exp: secondsFromNow(seconds) });

describeInBrowser('a session', () => {
  let browser: Browser;
  let context: BrowserContext;
  let server: Server;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), Server.start({ env: { AUTH_SECRET: SECRET } })]);
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  async function send(recipient: string, content: unknown): Promise<void> {
    const headers = { Authorization: `Bearer ${await tokenOf('backend', LONG)}` };
    expect((await publish(server.url, { recipient, content }, headers)).status).toBe(201);
  }

  const giveToken = async (tab: ClientTab, sub: string, seconds: number): Promise<void> => {
    await tab.run(`void (globalThis.token = ${JSON.stringify(await tokenOf(sub, seconds))})`);
  };

  /** A tab of somebody who is signed in for so many seconds. */
  async function open(sub: string, seconds: number, extra?: string): Promise<ClientTab> {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, sub, seconds);
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: sub }, extra);
    await tab.waitForState('live');
    return tab;
  }

  test('that is over is renewed by the page, and nothing is missed or told twice', async () => {
    const tab = await open('ann', SHORT, RENEWING);
    await giveToken(tab, 'ann', LONG);
    await send('ann', 'before');
    await until(() => tab.visit.expired.length > 0);
    await send('ann', 'meanwhile');
    await tab.waitForState('live');
    await send('ann', 'after');
    expect(await tab.waitForMessage('after')).toEqual(['before', 'meanwhile', 'after']);
    expect(tab.visit.expired).toEqual(['asked']);
    expect(tab.visit.status.map(({ state }) => state)).toContain('expired');
  });

  test('that is over, where the page cannot renew it, is told; a new one and a try go on where it was', async () => {
    const tab = await open('ben', SHORT);
    const other = await open('ben', SHORT);
    await send('ben', 'before');
    await tab.waitForState('expired');
    await other.waitForState('expired');
    await send('ben', 'meanwhile');
    await giveToken(other, 'ben', LONG);
    await other.run(SIGN_IN);
    await other.run('connection.reconnect()');
    for (const one of [tab, other]) {
      expect(await one.waitForMessage('meanwhile')).toEqual(['before', 'meanwhile']);
      await one.waitForState('live');
    }
  });

  test('that a person is asked for may be renewed in another tab', async () => {
    const asking = await open(
      'cid',
      SHORT,
      "{ onExpired: () => (note('expired', 'asked'), new Promise(() => {})) }",
    );
    const other = await open('cid', SHORT);
    await until(() => asking.visit.expired.length > 0);
    await other.waitForState('expired');
    await giveToken(other, 'cid', LONG);
    await other.run(SIGN_IN);
    await other.run('connection.reconnect()');
    await send('cid', 'after');
    for (const one of [asking, other]) expect(await one.waitForMessage('after')).toEqual(['after']);
  });

  test.each([
    ['throws', "{ throw new Error('no form') }"],
    ['rejects', "{ return Promise.reject(new Error('no network')) }"],
  ])('is asked for again where onExpired %s', async (how, body) => {
    const sub = `dan-${how}`;
    const failing = `{ onExpired: () => {
      note('expired', 'asked');
      if (globalThis.asked++ > 0) return ${SIGN_IN};
      ${body}
    } }`;
    const tab = await ClientTab.open(context, server.url);
    await tab.run('void (globalThis.asked = 0)');
    await giveToken(tab, sub, SHORT);
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: sub }, failing);
    await until(() => tab.visit.expired.length === 1);
    await giveToken(tab, sub, LONG);
    await until(async () => {
      await tab.pass(5);
      return tab.visit.expired.length === 2;
    });
    await send(sub, 'after');
    expect(await tab.waitForMessage('after')).toEqual(['after']);
  });

  test('that is over keeps what is sent until there is a new one', async () => {
    const tab = await open('eva', SHORT);
    await tab.waitForState('expired');
    const outcome = await tab.send('bob', 'kept');
    await until(() => tab.status?.waiting === 1);
    await giveToken(tab, 'eva', LONG);
    await tab.run(SIGN_IN);
    await tab.run('connection.reconnect()');
    expect((await outcome()).value).toMatchObject({ sender: 'eva', content: 'kept' });
  });

  test('that does not allow an inbox, or whose presence is watched, is told as refused, with the reason', async () => {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, 'fay', LONG);
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: 'somebody else' });
    await tab.waitForState('refused');
    expect(tab.status?.detail).toMatch(/\w/);
    await tab.run('connection.close()');
    await tab.connect({ recipient: 'fay', presence: ['somebody else'] });
    await tab.waitForState('refused');
  });

  test('that was never there is asked for as one that is over', async () => {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, 'gus', LONG);
    await tab.connect({ recipient: 'gus' }, RENEWING);
    await tab.waitForState('live');
    expect(tab.visit.expired).toEqual(['asked']);
  });
});

import { expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { MeddlingProxy } from '../support/meddling-proxy.ts';
import { SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withServer } from '../support/with-browser.ts';

/** Gets a session with the token that the page has. */
const SIGN_IN = `fetch('/session', { method: 'PUT', headers: { Authorization: 'Bearer ' + globalThis.token } })
  .then((answer) => { if (!answer.ok) throw new Error('no session: ' + answer.status); })`;
const RENEWING = `{ onExpired: () => { note('expired', 'asked'); return ${SIGN_IN}; } }`;
const SHORT = 2;
const LONG = 600;

/** Makes a token that is valid for so many seconds, for somebody who may send to everyone. */
const tokenOf = (sub: string, seconds: number): Promise<string> =>
  tokenFor(sub, { sendTo: ['*'] }, { exp: secondsFromNow(seconds) });

describeInBrowser('a session', () => {
  const browser = withBrowser();
  const server = withServer({ env: { AUTH_SECRET: SECRET } });
  const context = withContext(browser);

  async function send(recipient: string, content: unknown): Promise<void> {
    const headers = { Authorization: `Bearer ${await tokenOf('backend', LONG)}` };
    expect((await publish(server.url, { recipient, content }, headers)).status).toBe(201);
  }

  const giveToken = async (tab: ClientTab, sub: string): Promise<void> => {
    await tab.run(`void (globalThis.token = ${JSON.stringify(await tokenOf(sub, LONG))})`);
  };

  /** Opens a tab of somebody who is signed in. */
  async function open(sub: string, extra?: string): Promise<ClientTab> {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, sub);
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: sub }, extra);
    await tab.waitForState('live');
    return tab;
  }

  /**
   * Gives all tabs a session that expires soon. Sets the cookie, since a request may take longer than the
   * session lasts.
   */
  async function shorten(sub: string): Promise<void> {
    const value = await tokenOf(sub, SHORT);
    await context.addCookies([
      { name: 'tidings', value, url: server.url, httpOnly: true, sameSite: 'Strict' },
    ]);
  }

  test('an expired session is renewed by the page, and nothing is missed or told twice', async () => {
    const tab = await open('ann', RENEWING);
    await shorten('ann');
    await tab.run('connection.reconnect()');
    await send('ann', 'before');
    await until(() => tab.visit.expired.length > 0);
    await send('ann', 'meanwhile');
    await tab.waitForState('live');
    await send('ann', 'after');
    expect(await tab.waitForMessage('after')).toEqual(['before', 'meanwhile', 'after']);
    expect(tab.visit.expired).toEqual(['asked']);
    expect(tab.visit.status.map(({ state }) => state)).toContain('expired');
  });

  test('an expired session that the page cannot renew is reported, and a retry with a new session resumes the stream', async () => {
    const tab = await open('ben');
    const other = await open('ben');
    // When both are live: on a busy machine, opening a tab takes longer than the session lasts.
    await shorten('ben');
    await tab.run('connection.reconnect()');
    await send('ben', 'before');
    await tab.waitForState('expired');
    await other.waitForState('expired');
    await send('ben', 'meanwhile');
    await other.run(SIGN_IN);
    await other.run('connection.reconnect()');
    for (const one of [tab, other]) {
      expect(await one.waitForMessage('meanwhile')).toEqual(['before', 'meanwhile']);
      await one.waitForState('live');
    }
  });

  test('a session that a person is asked for may be renewed in another tab', async () => {
    const asking = await open(
      'cid',
      "{ onExpired: () => (note('expired', 'asked'), new Promise(() => {})) }",
    );
    const other = await open('cid');
    await shorten('cid');
    await asking.run('connection.reconnect()');
    await until(() => asking.visit.expired.length > 0);
    await other.waitForState('expired');
    await other.run(SIGN_IN);
    await other.run('connection.reconnect()');
    await send('cid', 'after');
    for (const one of [asking, other]) expect(await one.waitForMessage('after')).toEqual(['after']);
    // The person is asked again when that session has expired, though the first call never settled.
    await asking.waitForState('live');
    await shorten('cid');
    await asking.run('connection.reconnect()');
    await until(() => asking.visit.expired.length === 2);
  });

  test.each(['and that is renewed in another tab', 'by a page that closes its connection meanwhile'])(
    'a session that a person is asked for, %s, holds up nothing that is to be sent',
    async (what) => {
      const sub = `hal${what.length}`;
      const asking = await open(sub, '{ onExpired: () => new Promise(() => {}) }');
      await shorten(sub);
      await asking.run('connection.reconnect()');
      await asking.waitForState('expired');
      const refused = asking.page.waitForResponse((answer) => answer.status() === 401);
      const first = await asking.send('bob', 'from the one that asks');
      await refused;
      if (what.includes('closes')) await asking.run('connection.close()');
      const other = await ClientTab.open(context, server.url);
      await giveToken(other, sub);
      await other.run(SIGN_IN);
      await other.connect({ recipient: sub });
      await other.run('connection.reconnect()');
      const second = await other.send('bob', 'from the other');
      expect((await first()).value).toMatchObject({ content: 'from the one that asks' });
      expect((await second()).value).toMatchObject({ content: 'from the other' });
    },
  );

  test('a session that is renewed during polls is told as such at once', async () => {
    const proxy = await MeddlingProxy.listen(server.port);
    proxy.mode = 'buffer';
    const tab = await ClientTab.open(context, proxy.origin);
    await giveToken(tab, 'ida');
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: 'ida' }, RENEWING);
    await until(() => proxy.count('GET /stream') > 0);
    await tab.pass(6);
    await tab.waitForState('live', 'polling');
    await shorten('ida');
    // The next poll is held for as long as the session lasts.
    await send('ida', 'before');
    await tab.waitForState('expired');
    // Sooner than a poll is answered that has nothing to tell.
    await tab.waitForState('live', 'polling', 15_000);
    await proxy.close();
  });

  test.each([
    ['throws', "{ throw new Error('no form') }"],
    ['rejects', "{ return Promise.reject(new Error('no network')) }"],
  ])('a session is asked for again if onExpired %s', async (how, body) => {
    const sub = `dan-${how}`;
    const failing = `{ onExpired: () => {
      note('expired', 'asked');
      if (globalThis.asked++ > 0) return ${SIGN_IN};
      ${body}
    } }`;
    const tab = await ClientTab.open(context, server.url);
    await tab.run('void (globalThis.asked = 0)');
    await giveToken(tab, sub);
    await shorten(sub);
    await tab.connect({ recipient: sub }, failing);
    await until(() => tab.visit.expired.length > 0);
    await until(async () => {
      await tab.pass(5);
      return tab.visit.expired.length > 1;
    });
    // On a busy machine the first session has expired before there was a stream, and so a position.
    await tab.waitForState('live');
    await send(sub, 'after');
    expect(await tab.waitForMessage('after')).toEqual(['after']);
    expect(tab.visit.expired).toEqual(['asked', 'asked']);
  });

  test('messages that are sent with an expired session are kept until there is a new one', async () => {
    const tab = await open('eva');
    await shorten('eva');
    await tab.run('connection.reconnect()');
    await tab.waitForState('expired');
    const outcome = await tab.send('bob', 'kept');
    await until(() => tab.status?.waiting === 1);
    await tab.run(SIGN_IN);
    await tab.run('connection.reconnect()');
    expect((await outcome()).value).toMatchObject({ sender: 'eva', content: 'kept' });
  });

  test('a session that does not allow an inbox, or the watched presence, is told as refused, with the reason', async () => {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, 'fay');
    await tab.run(SIGN_IN);
    await tab.connect({ recipient: 'somebody else' });
    await tab.waitForState('refused');
    expect(tab.status?.detail).toMatch(/\w/);
    await tab.run('connection.close()');
    await tab.connect({ recipient: 'fay', presence: ['somebody else'] });
    await tab.waitForState('refused');
  });

  test('a session that was never there is asked for like an expired one', async () => {
    const tab = await ClientTab.open(context, server.url);
    await giveToken(tab, 'gus');
    await tab.connect({ recipient: 'gus' }, RENEWING);
    await tab.waitForState('live');
    expect(tab.visit.expired).toEqual(['asked']);
  });
});

/** Sessions of several people in one browser: one signs in while another is signed in, or signs out, in any tab. */
import { expect, test } from '@jest/globals';
import { publish, request } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab } from '../support/client-tab.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { withBrowser, withContext, withServer } from '../support/with-browser.ts';

const SIGN_IN = `fetch('/session', { method: 'PUT', headers: { Authorization: 'Bearer ' + globalThis.token } })
  .then((answer) => { if (!answer.ok) throw new Error('no session: ' + answer.status); })`;

describeInBrowser('a person', () => {
  const browser = withBrowser();
  const server = withServer({ env: { AUTH_SECRET: SECRET } });
  const context = withContext(browser);

  const tokenOf = (sub: string): Promise<string> => tokenFor(sub, { sendTo: ['*'] });

  async function signIn(tab: ClientTab, sub: string): Promise<void> {
    await tab.run(`void (globalThis.token = ${JSON.stringify(await tokenOf(sub))})`);
    await tab.run(SIGN_IN);
  }

  async function open(sub: string): Promise<ClientTab> {
    const tab = await ClientTab.open(context, server.url);
    await signIn(tab, sub);
    await tab.connect({ recipient: sub });
    await tab.waitForState('live');
    return tab;
  }

  async function send(recipient: string, content: unknown): Promise<void> {
    const answer = await publish(server.url, { recipient, content }, bearer(await tokenOf('backend')));
    expect(answer.status).toBe(201);
  }

  const keysOf = async (tab: ClientTab): Promise<string[]> =>
    (await tab.run(`Object.keys(localStorage).filter((key) => key.startsWith('tidings:'))`)) as string[];

  test('signing in in another tab ends the connection of the person before, whose messages are kept and sent later', async () => {
    const first = await open('alice');
    const other = await open('bob');
    await until(async () => (await keysOf(first)).some((key) => key.endsWith('owner:"alice"')));
    const outcome = await first.send('carol', 'from alice');
    await first.waitForState('replaced');
    expect(first.status?.detail).toBe('somebody else has signed in');
    expect((await outcome()).error?.message).toContain(
      'somebody else has signed in: the message was not sent',
    );
    expect(first.visit.refused).toEqual([]);
    await send('alice', 'for alice alone');
    await send('bob', 'for bob');
    expect(await other.waitForMessage('for bob')).toEqual(['for bob']);
    expect(first.visit.contents).toEqual([]);
    // A page that is loaded during bob's session sends none of her messages, either.
    await first.reload({ recipient: 'alice' });
    await first.waitForState('replaced');
    expect(first.visit.refused).toEqual([]);
    await first.page.reload();
    await signIn(first, 'alice');
    await first.connect({ recipient: 'alice' });
    // Her unsent message is sent now, and comes after it.
    expect((await first.waitForMessage('for alice alone'))[0]).toBe('for alice alone');
    const sendersToCarol = async (): Promise<string[]> => {
      const answer = await request(`${server.url}/messages?recipient=carol&after=0`, {
        headers: bearer(await tokenFor('carol')),
      });
      return (answer.body as { messages: { sender: string }[] }).messages.map(({ sender }) => sender);
    };
    await until(async () => (await sendersToCarol()).length > 0, 'her message');
    expect(await sendersToCarol()).toEqual(['alice']);
  });

  test('signing out in one tab ends the connections of all tabs, and nothing is kept of them', async () => {
    const tabs = [await open('dora'), await open('dora'), await open('dora')];
    const [first, second] = tabs as [ClientTab, ClientTab];
    expect(await keysOf(first)).not.toEqual([]);
    expect((await second.call('signOut()')).error).toBeUndefined();
    for (const tab of tabs) await tab.waitForState('signed-out');
    await send('dora', 'private');
    expect((await request(`${server.url}/session`)).status).toBe(401);
    expect(await first.run(`fetch('/session').then(({ status }) => status)`)).toBe(401);
    expect(await keysOf(first)).toEqual([]);
    for (const tab of tabs) expect(tab.visit.contents).toEqual([]);
    await first.reload({ recipient: 'dora' });
    await first.waitForState('expired');
  });

  test('signing out also ends the connections that follow other inboxes', async () => {
    const first = await open('finn');
    await first.run(
      `void (globalThis.token = ${JSON.stringify(
        await tokenFor('finn', { sendTo: ['*'], read: ['finn', 'room-9'] }),
      )})`,
    );
    await first.run(SIGN_IN);
    const other = await ClientTab.open(context, server.url);
    await other.connect({ recipient: ['finn', 'room-9'] });
    await other.waitForState('live');
    expect((await first.call('signOut()')).error).toBeUndefined();
    for (const tab of [first, other]) await tab.waitForState('signed-out');
    await send('finn', 'private');
    expect((await other.send('bob', 'late').then((outcome) => outcome())).error).toBeDefined();
    expect(other.visit.contents).toEqual([]);
    expect(await keysOf(first)).toEqual([]);
  });

  test('signing out does not tell what another person left unsent, which waits for its sender', async () => {
    const first = await open('gina');
    await until(async () => (await keysOf(first)).some((key) => key.endsWith('owner:"gina"')));
    await context.route('**/messages', (route) => route.abort());
    await first.send('carol', 'from gina');
    const kept = (await keysOf(first)).filter((key) => key.includes('outbox:"gina"'));
    expect(kept).toHaveLength(1);
    await first.close();
    const second = await open('hugo');
    await until(async () => (await keysOf(second)).some((key) => key.endsWith('owner:"hugo"')));
    expect((await second.call('signOut()')).error).toBeUndefined();
    await until(async () => (await keysOf(second)).length === 2);
    expect(await keysOf(second)).toEqual(expect.arrayContaining(kept));
    await context.unroute('**/messages');
    const again = await open('gina');
    await until(async () => (await again.run('connection.status.waiting')) === 0, 'her message is sent');
  });

  test('signing out asks before it drops messages that are not sent', async () => {
    const tab = await open('erin');
    await context.setOffline(true);
    const outcome = await tab.send('bob', 'unsent');
    expect((await tab.call('signOut()')).error).toMatchObject({ name: 'Unsent' });
    expect(tab.status?.waiting).toBe(1);
    await context.route('**/messages', (route) => route.abort());
    await context.setOffline(false);
    expect((await tab.call('signOut({ discard: true })')).error).toBeUndefined();
    await tab.waitForState('signed-out');
    expect((await outcome()).error).toBeDefined();
    expect(await keysOf(tab)).toEqual([]);
  });
});

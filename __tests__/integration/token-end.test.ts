import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EventSource } from 'eventsource';
import { publish, request, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import {
  bearer,
  cookie,
  type Grants,
  SECRET,
  secondsFromNow,
  segment,
  signText,
  signToken,
  tokenFor,
} from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';

const ACCEPT = { Accept: 'text/event-stream' };
let server: Server;
let backend: Record<string, string>;
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET, PUBLISH_RATE: '0' } });
  backend = bearer(await tokenFor('backend', { sendAs: ['*'], sendTo: ['*'], read: ['*'] }));
});
afterAll(cleanUp);

async function deliver(recipient: string, content: unknown): Promise<WireMessage> {
  const answer = await publish(server.url, { recipient, content, sender: 'backend' }, backend);
  expect(answer.status).toBe(201);
  return answer.body as WireMessage;
}

/** A token that ends in so many seconds, and when that is. */
async function shortLived(
  sub: string,
  seconds: number,
  grants?: Grants,
): Promise<{ token: string; end: number }> {
  const exp = secondsFromNow(seconds);
  return { token: await tokenFor(sub, grants, { exp }), end: exp * 1000 };
}

/** A page whose session is in a cookie that it can renew, as a browser's EventSource has it. */
class Page {
  readonly messages: WireMessage[] = [];
  readonly said: { type: string; data: Record<string, unknown> }[] = [];
  /** The cursor that each connection sent. */
  readonly lastEventIds: (string | null)[] = [];
  readonly source: EventSource;
  session: string;

  constructor(query: string, session: string) {
    this.session = session;
    this.source = new EventSource(`${server.url}/stream?${query}`, {
      fetch: (url, init) => {
        const headers = new Headers(init.headers);
        this.lastEventIds.push(headers.get('last-event-id'));
        headers.set('cookie', `tidings=${this.session}`);
        return fetch(url, { ...init, headers });
      },
    });
    this.source.onmessage = ({ data }) => this.messages.push(JSON.parse(data as string) as WireMessage);
    for (const type of ['ready', 'live', 'bye']) {
      this.source.addEventListener(type, ({ data }) =>
        this.said.push({ type, data: JSON.parse(data as string) as Record<string, unknown> }),
      );
    }
  }

  waitFor(type: string, count = 1): Promise<void> {
    return until(
      () => this.said.filter((one) => one.type === type).length >= count,
      `${count} times ${type}`,
    );
  }
}

describe('a bad session', () => {
  let over: string;
  beforeAll(async () => (over = await tokenFor('alice', {}, { exp: secondsFromNow(-1) })));

  test('a stream with an expired session is told so in band', async () => {
    for (const accept of ['text/event-stream', 'text/html, text/event-stream;q=0.9, */*']) {
      const headers = { ...cookie(over), Accept: accept };
      const device = await DeviceStream.open(server.url, 'recipient=alice&recipient=bob', { headers });
      await device.waitForEnd();
      expect(device.response.statusCode).toBe(200);
      expect(device.response.headers['content-type']).toMatch(/^text\/event-stream\b/);
      expect(device.retries).toHaveLength(1);
      expect(device.retries[0]).toBeGreaterThanOrEqual(5000);
      expect(device.retries[0]).toBeLessThanOrEqual(15_000);
      expect(device.events).toEqual([
        { event: 'bye', id: undefined, data: { type: 'bye', reason: 'token-expired' } },
      ]);
    }
  });

  test('an expired session is 401 for requests that accept no event stream, and on every other path', async () => {
    expectProblem(await request(`${server.url}/stream`, { headers: cookie(over) }), 401, []);
    for (const path of [
      '/messages',
      '/messages?wait=5',
      '/conversations',
      '/presence?recipient=alice',
      '/session',
    ]) {
      const answer = await request(`${server.url}${path}`, { headers: { ...cookie(over), ...ACCEPT } });
      expectProblem(answer, 401, []);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
    }
    const headers = { ...cookie(over), Origin: server.url };
    expectProblem(await publish(server.url, { recipient: 'bob', content: 1 }, headers), 401, []);
  });

  test('an expired bearer token is 401 on a stream as well, since it would come back unchanged', async () => {
    expectProblem(
      await request(`${server.url}/stream`, { headers: { ...bearer(over), ...ACCEPT } }),
      401,
      [],
    );
    const good = cookie(await tokenFor('alice'));
    const both = { ...bearer(over), ...good, ...ACCEPT };
    expectProblem(await request(`${server.url}/stream`, { headers: both }), 401, []);
  });

  test('a stream with a session that cannot be verified is told so in band, and other requests get 401', async () => {
    const sign = (claims: object) => signToken({ sub: 'alice', ...claims });
    const [header = '', payload = '', signature = ''] = (await sign({})).split('.');
    const unverifiable: [string, string][] = [
      ['of a secret that was replaced', await signToken({ sub: 'alice' }, 'z'.repeat(40))],
      ['with another signature', `${header}.${payload}.AAAA`],
      ['without a signature', `${header}.${payload}.`],
      ['of no algorithm', `${segment({ alg: 'none' })}.${payload}.`],
      ['of another algorithm', `${segment({ alg: 'ES256', kid: 'gone' })}.${payload}.${signature}`],
      ['of no known algorithm', `${segment({})}.${payload}.${signature}`],
      ['that begins later', await sign({ nbf: secondsFromNow(600) })],
      ['without an end', await signText('{"sub":"alice"}')],
      ['with a grant that is none', await sign({ tidings: { reed: ['alice'] } })],
      ['of nobody', await sign({ sub: '' })],
    ];
    for (const [what, token] of unverifiable) {
      const headers = cookie(token);
      const device = await DeviceStream.open(server.url, 'recipient=alice', { headers });
      await device.waitForEnd();
      const bye = { event: 'bye', data: { reason: 'token-expired' } };
      expect([what, device.response.statusCode, device.events]).toMatchObject([what, 200, [bye]]);
      const page = await SocketDevice.open(server.url, '', { headers: { ...headers, Origin: server.url } });
      await page.waitForEnd();
      expect([what, page.events, page.close]).toMatchObject([what, [bye], { code: 3000 }]);
      for (const path of ['/stream', '/messages', '/session']) {
        expectProblem(await request(`${server.url}${path}`, { headers }), 401, []);
      }
      expectProblem(
        await request(`${server.url}/stream`, { headers: { ...bearer(token), ...ACCEPT } }),
        401,
        [],
      );
    }
  });

  test('a cookie that is no token at all is 401, also on a stream', async () => {
    const [header = '', payload = ''] = over.split('.');
    const text = segment('x');
    const texts = words(`
      x x.y.z ${header}.${payload} ${header}.${payload}.A.A.A ${header}.${text}.A ${text}.${payload}.A
      ${header}.${segment('[]')}.A ${header}.${payload}.~
    `);
    for (const bad of texts) {
      const answer = await request(`${server.url}/stream`, { headers: { ...cookie(bad), ...ACCEPT } });
      expectProblem(answer, 401, []);
    }
  });

  test('a stream with sessions of two clients is told so in band, and a bad one beside good ones does not matter', async () => {
    const [alice, bob] = [await tokenFor('alice'), await tokenFor('bob')];
    const of = (...tokens: string[]) => ({ Cookie: tokens.map((one) => `tidings=${one}`).join('; ') });
    const both = await DeviceStream.open(server.url, '', { headers: of(alice, bob) });
    await both.waitForEnd();
    expect(both.events).toMatchObject([{ event: 'bye', data: { reason: 'token-expired' } }]);
    const one = await DeviceStream.open(server.url, '', { headers: of(over, 'x', alice) });
    await one.waitFor('live');
    one.cut();
  });
});

// Each waits for the end of a token, so they wait side by side: for addresses of their own.
describe('a stream', () => {
  test.concurrent.each(Object.entries({ bearer, cookie }))(
    'a stream of a %s says when it ends, and ends then, with bye',
    async (what, carry) => {
      const [carl, room] = [`carl-${what}`, `room-${what}`];
      const { token, end } = await shortLived(carl, 5, { read: [carl, room] });
      const query = `recipient=${carl}&recipient=${room}`;
      const device = await DeviceStream.open(server.url, query, { headers: carry(token) });
      const ready = await device.waitFor('ready');
      expect(ready.data).toMatchObject({ expiresAt: new Date(end).toISOString() });
      const last = await deliver(room, 'before the end');
      await device.waitForEnd();
      // How soon is shown on a clock of its own, in unit/devices.
      const ended = Date.now();
      const bye = { event: 'bye', data: { type: 'bye', reason: 'token-expired' } };
      expect(device.events.at(-1)).toMatchObject(bye);
      expect(device.cursor).toMatch(new RegExp(`^${last.id}-`));
      expect(ended).toBeGreaterThanOrEqual(end);
      // Nothing is delivered to it after.
      await deliver(room, 'after the end');
      expect(device.ids).toEqual([last.id]);
    },
  );

  test.concurrent('each stream of one client ends with its own token', async () => {
    const short = await shortLived('dora', 3);
    const long = await shortLived('dora', 8);
    const devices = await Promise.all(
      [short, long].map(({ token }) => DeviceStream.open(server.url, '', { headers: bearer(token) })),
    );
    await devices[0]?.waitForEnd();
    expect(Date.now()).toBeGreaterThanOrEqual(short.end);
    expect(devices[1]?.closed).toBe(false);
    const message = await deliver('dora', 'for the longer');
    await devices[1]?.waitForMessages(1);
    await devices[1]?.waitForEnd();
    expect(devices.map((device) => device.ids)).toEqual([[], [message.id]]);
    expect(Date.now()).toBeGreaterThanOrEqual(long.end);
  });

  test.concurrent(
    'a stream that comes back with a renewed session resumes two inboxes exactly at its position',
    async () => {
      const grants: Grants = { read: ['eve', 'team'] };
      const first = await shortLived('eve', 6, grants);
      const renewed = await tokenFor('eve', grants);
      const page = new Page('recipient=eve&recipient=team', first.token);
      await page.waitFor('live');
      const sent: WireMessage[] = [await deliver('eve', 0), await deliver('team', 1)];
      await until(() => page.messages.length === 2);
      await page.waitFor('bye');
      page.session = renewed;
      for (let count = 2; count < 30; count += 1) {
        await deliver('another', 'not for her');
        sent.push(await deliver(count % 2 === 0 ? 'eve' : 'team', count));
      }
      await until(() => page.messages.length >= sent.length);
      sent.push(await deliver('team', 'live again'));
      await until(() => page.messages.length >= sent.length);
      expect(page.messages).toEqual(sent);
      expect(page.said.filter(({ type }) => type === 'ready').map(({ data }) => data['gap'])).toEqual([
        false,
        false,
      ]);
      expect(page.lastEventIds[0]).toBeNull();
      expect(page.lastEventIds[1]).toMatch(new RegExp(`^${sent[1]?.id}-`));
      page.source.close();
    },
  );

  test.concurrent(
    'a stream that comes back before its session is renewed is told again, and later goes on at its place',
    async () => {
      const first = await shortLived('finn', 5);
      const page = new Page('', first.token);
      await page.waitFor('live');
      const sent = [await deliver('finn', 1)];
      await until(() => page.messages.length === 1);
      // The second bye is that of a connection that was not served.
      await page.waitFor('bye', 2);
      sent.push(await deliver('finn', 2));
      page.session = await tokenFor('finn');
      await page.waitFor('ready', 2);
      await until(() => page.messages.length >= 2);
      expect(page.messages).toEqual(sent);
      expect(page.source.readyState).toBe(EventSource.OPEN);
      page.source.close();
    },
  );
});

describe('a held poll', () => {
  test.concurrent('a held poll ends no later than its token', async () => {
    const { token, end } = await shortLived('gina', 6, { read: ['gina', 'team'] });
    const answer = await request(`${server.url}/messages?recipient=gina&wait=60`, { headers: bearer(token) });
    const ended = Date.now();
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ messages: [], gap: false, more: false });
    expect(ended).toBeGreaterThanOrEqual(end);
    expectProblem(await request(`${server.url}/messages`, { headers: bearer(token) }), 401, []);
  });
});

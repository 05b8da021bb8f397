/** One contract for every proxy of `deploy`, over HTTP/1.1 and HTTP/2. They are tested side by side. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { EventSource as EventSourceType } from 'eventsource';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { publish, request, type WireMessage } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { LONGEST, LONGEST_QUERY, queryOf } from '../support/long-addresses.ts';
import { installed, type Proxied, Proxy, proxyTest } from '../support/proxy.ts';
import { type ProxyAnswer, ProxyClient, VERSIONS } from '../support/proxy-client.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { bearer, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** For code that runs in the page: the browser has the real one. */
declare const EventSource: typeof EventSourceType;
declare const WebSocket: new (url: string) => { onmessage: (event: { data: string }) => void };

const GRANTS = { sendTo: ['*'], sendAs: ['*'], read: ['*'], presence: ['*'] };
const JSON_BODY = { 'Content-Type': 'application/json' };

/** Tries something with each client at once; a failure names its client. */
function each<T>(
  clients: readonly ProxyClient[],
  attempt: (client: ProxyClient) => Promise<T>,
): Promise<T[]> {
  return Promise.all(
    clients.map(async (client) => {
      try {
        return await attempt(client);
      } catch (error) {
        throw new Error(`${client.name}: ${String(error)}`, { cause: error });
      }
    }),
  );
}

const jsonOf = ({ text }: ProxyAnswer): unknown => JSON.parse(text) as unknown;

const someProxy = installed.length > 0 ? proxyTest() : proxyTest('nginx');

describeInBrowser('behind nginx, Caddy and HAProxy, as deploy has them,', () => {
  let headers: Record<string, string>;
  /** One service that is always there, and one that is restarted. */
  let calm: Proxied;
  let shaken: Proxied;
  let clients: ProxyClient[];
  let polls: Promise<ProxyAnswer[]>;
  let browser: Browser;

  beforeAll(async () => {
    headers = bearer(await tokenFor('root', GRANTS));
    [calm, shaken, browser] = await Promise.all([
      Proxy.start(...installed),
      Proxy.start(...installed),
      launchBrowser(),
    ]);
    clients = clientsOf(calm);
    // These take a minute, in which the other tests run.
    polls = each(clients, (client) =>
      client.ask(`/messages?recipient=${encodeURIComponent(`silent ${client.name}`)}&wait=60`),
    );
    polls.catch(() => undefined);
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  const clientsOf = ({ proxies }: Proxied): ProxyClient[] =>
    proxies.flatMap((proxy) => VERSIONS.map((version) => new ProxyClient(proxy, version, headers)));

  /** Returns how many devices an address has, as the service itself says. */
  async function devicesOf({ server }: Proxied, address: string): Promise<number> {
    const answer = await request(`${server.url}/presence?${queryOf('recipient', [address])}`, { headers });
    return (answer.body as Record<string, { devices: number }>)[address]?.devices ?? NaN;
  }

  someProxy(
    'a stream has each message as it is sent, goes on after a cursor, and is gone when its device is',
    async () => {
      await each(clients, async (client) => {
        const recipient = `bob ${client.name}`;
        const query = queryOf('recipient', [recipient]);
        const device = await client.open(query);
        expect(device.status).toBe(200);
        expect(device.headers['content-type']).toMatch(/^text\/event-stream/);
        await device.waitFor('live');
        const sent: unknown[] = [];
        for (const content of ['one', 'two', 'three']) {
          const body = JSON.stringify({ recipient, content });
          sent.push(jsonOf(await client.ask('/messages', { method: 'POST', headers: JSON_BODY, body })));
          expect(await device.waitForMessages(sent.length)).toEqual(sent);
        }
        const again = await client.open(query, { 'Last-Event-ID': `${device.messages[0]?.id ?? ''}` });
        expect(await again.waitForMessages(2)).toEqual(sent.slice(1));
        expect(await devicesOf(calm, recipient)).toBe(2);
        device.leave();
        again.leave();
        await until(async () => (await devicesOf(calm, recipient)) === 0, 'nobody to be there');
        expect([...device.law.faults, ...again.law.faults]).toEqual([]);
      });
    },
  );

  someProxy('a poll that its client gives up has ended at the service', async () => {
    await each(clients, async (client) => {
      const recipient = `poll ${client.name}`;
      const controller = new AbortController();
      void client
        .ask(`/messages?${queryOf('recipient', [recipient])}&wait=60`, { signal: controller.signal })
        .catch(() => undefined);
      await until(async () => (await devicesOf(calm, recipient)) === 1, 'the poll');
      controller.abort();
      await until(async () => (await devicesOf(calm, recipient)) === 0, 'nobody to be there');
    });
  });

  someProxy('as many addresses as a request may have come through, each as long as it may be', async () => {
    const message = { recipient: LONGEST[99], content: 'hi' };
    const stored: unknown = (await publish(calm.server.url, message, headers)).body;
    const addresses = queryOf('recipient', LONGEST.slice(0, 100));
    await each(clients, async (client) => {
      const device = await client.open(`${LONGEST_QUERY}&last=1`);
      expect(device.status).toBe(200);
      expect(await device.waitForMessages(1)).toEqual([stored]);
      device.leave();
      expect(jsonOf(await client.ask(`/messages?${addresses}`))).toMatchObject({ messages: [stored] });
      const present = jsonOf(await client.ask(`/presence?${addresses}`));
      expect(Object.keys(present as object)).toEqual(LONGEST.slice(0, 100));
      // A refusal is a problem document of the service.
      const refused = await client.ask(`/presence?${LONGEST_QUERY}`);
      expect([refused.status, refused.headers['content-type']]).toEqual([400, 'application/problem+json']);
    });
  });

  someProxy('a batch of nearly 4 MiB is stored, and the service itself refuses a larger one', async () => {
    const batch = (messages: number): string =>
      JSON.stringify(
        Array.from({ length: messages }, () => ({ recipient: 'large', content: 'x'.repeat(41_000) })),
      );
    const [fitting, over] = [batch(102), batch(120)];
    expect(4 * 1024 * 1024 - fitting.length).toBeLessThan(41_000);
    // One after the other: all requests that are arriving may have 64 MiB together.
    for (const client of clients) {
      await each([client], async () => {
        const sent = { method: 'POST', headers: JSON_BODY };
        const taken = await client.ask('/messages', { ...sent, body: fitting });
        expect([taken.status, (jsonOf(taken) as unknown[]).length]).toEqual([201, 102]);
        const refused = await client.ask('/messages', { ...sent, body: over });
        expect([refused.status, refused.headers['content-type']]).toEqual([413, 'application/problem+json']);
      });
    }
  });

  someProxy('a WebSocket is one, both ways, also in a browser', async () => {
    await Promise.all(
      calm.proxies.map(async (proxy) => {
        const recipient = `socket ${proxy.name}`;
        const query = queryOf('recipient', [recipient]);
        const device = await SocketDevice.open(proxy.url, query, { headers, ca: proxy.ca.pem });
        await device.waitFor('live');
        const published = await device.publish({ recipient, content: 'hi' }, 'a');
        expect(published).toMatchObject({ event: 'published' });
        const stored = published.data as unknown;
        expect(await device.waitForMessages(1)).toEqual([stored]);

        const page = await signIn(proxy);
        const heard = await page.evaluateHandle(
          (url) => {
            const texts: string[] = [];
            new WebSocket(url).onmessage = ({ data }) => void texts.push(data);
            return texts;
          },
          `${proxy.url.replace('https', 'wss')}/ws?${query}&last=1`,
        );
        const seen = async (): Promise<unknown[]> =>
          (await heard.jsonValue()).map((text) => JSON.parse(text) as unknown);
        await until(async () => (await seen()).length >= 3, `a socket in a page behind ${proxy.name}`);
        expect(await seen()).toMatchObject([{ event: 'ready' }, { data: stored }, { event: 'live' }]);
        device.socket.close();
        await page.close();
        await until(
          async () => (await devicesOf(calm, recipient)) === 0,
          `${proxy.name}: nobody to be there`,
        );
      }),
    );
  });

  someProxy(
    'browsers are told to come by https alone, whatever the answer, and are led there from http',
    async () => {
      await each(clients, async (client) => {
        for (const path of ['/', '/messages', '/nothing']) {
          const answer = await client.ask(path);
          expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
        }
        for (const target of ['/messages?x=1', `/messages?x=${'1'.repeat(12_000)}`]) {
          const led = await fetch(client.proxy.plainUrl + target, { redirect: 'manual' });
          expect([301, 308]).toContain(led.status);
          const location = led.headers.get('location') ?? '';
          expect(location.replace(/^https:\/\/localhost(:\d+)?/, '')).toBe(target);
        }
      });
    },
  );

  someProxy('the client is who connects to the proxy, whatever it says of itself', async () => {
    await each(clients, async (client) => {
      const id = client.name.replaceAll(/[^\w]/g, '-');
      await client.ask('/healthz', { headers: { 'X-Forwarded-For': '192.0.2.7', 'X-Request-Id': id } });
      const lineOf = (): string | undefined =>
        calm.server.stderr.split('\n').find((line) => line.includes(id));
      await until(() => lineOf() !== undefined, 'a line in the log');
      expect(JSON.parse(lineOf() ?? '')).toMatchObject({ client: '127.0.0.1' });
    });
  });

  someProxy('the log of the proxy has each request, and of none who talks to whom', async () => {
    await each(clients, async (client) => {
      const { proxy, version } = client;
      await client.ask('/messages?between=wilma&between=fred');
      const parts = ['/messages', version === 'HTTP/2' ? 'HTTP/2.0' : version, '200'];
      const isThere = (line: string): boolean => parts.every((part) => line.includes(part));
      await until(() => proxy.accessLog.split('\n').some(isThere), 'a line in the log');
      expect(/wilma|fred|\?|Bearer/.exec(proxy.accessLog)?.[0]).toBeUndefined();
    });
  });

  /** Opens a page on a proxy's origin, with the session of somebody who may read everything. */
  async function signIn(proxy: Proxy, context?: BrowserContext): Promise<Page> {
    const page = await (context ?? (await browser.newContext({ ignoreHTTPSErrors: true }))).newPage();
    await page.goto(`${proxy.url}/healthz`);
    const status = await page.evaluate(
      async (authorization) =>
        (await fetch('/session', { method: 'PUT', headers: { Authorization: authorization } })).status,
      headers['Authorization'] ?? '',
    );
    expect(status).toBe(200);
    return page;
  }

  /**
   * The ids of messages that the EventSources of a page got, how often they were sent away, and their states.
   */
  interface Watched {
    readonly ids: number[];
    readonly reasons: string[];
    readonly state: number;
  }

  /** Makes a page open plain EventSources, which come back by themselves or not at all. */
  async function watch(page: Page, urls: readonly string[]): Promise<() => Promise<Watched[]>> {
    const handle = await page.evaluateHandle((all) => {
      return all.map((url) => {
        const source = new EventSource(url, { withCredentials: true });
        const seen = { source, ids: [] as number[], reasons: [] as string[] };
        source.onmessage = ({ data }) =>
          void seen.ids.push((JSON.parse(data as string) as { id: number }).id);
        source.addEventListener('bye', ({ data }) =>
          seen.reasons.push((JSON.parse(data as string) as { reason: string }).reason),
        );
        return seen;
      });
    }, urls);
    return () =>
      handle.evaluate((all) =>
        all.map(({ source, ids, reasons }) => ({ ids, reasons, state: source.readyState })),
      );
  }

  someProxy(
    '20 plain EventSources come back from each restart of the service, with what they missed',
    async () => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const watched = await Promise.all(
        shaken.proxies.map(async (proxy, index) => {
          const page = await signIn(proxy, context);
          // And one that is on a page of another origin for its proxy.
          const other = shaken.proxies[(index + 1) % shaken.proxies.length] ?? proxy;
          const origins = [...Array<string>(20).fill(proxy.url), other.url];
          return watch(
            page,
            origins.map((origin) => `${origin}/stream?recipient=room`),
          );
        }),
      );
      const all = async (): Promise<Watched[]> => (await Promise.all(watched.map((look) => look()))).flat();
      const { port, database } = shaken.server;
      const sent: number[] = [];
      const post = async (content: string): Promise<void> => {
        const answer = await publish(`http://127.0.0.1:${port}`, { recipient: 'room', content }, headers);
        sent.push((answer.body as WireMessage).id);
      };
      const haveAll = async (): Promise<boolean> =>
        (await all()).every(({ ids }) => ids.length >= sent.length);
      await until(
        async () => (await devicesOf(shaken, 'room')) === shaken.proxies.length * 21,
        'all of them',
      );
      await post('at first');
      await until(haveAll, 'the first message everywhere');

      let { server } = shaken;
      for (const end of ['SIGTERM', 'SIGKILL'] as const) {
        const before = (await all()).map(({ reasons }) => reasons.length);
        server.signal(end);
        await server.ended;
        await each(clientsOf(shaken), seesThatItIsAway);
        // Each has tried in vain at least once.
        await until(
          async () =>
            (await all()).every(({ reasons }, index) => reasons.slice(before[index]).includes('unavailable')),
          'all of them to be sent away',
        );
        server = await Server.start({ port, database, env: shaken.env });
        await post(`after ${end}`);
        await until(haveAll, `what was missed at ${end}`);
        expect((await all()).filter(({ state }) => state === 2)).toEqual([]);
      }
      await post('at last');
      await until(haveAll, 'the last message everywhere');
      expect(new Set((await all()).map(({ ids }) => ids.join()))).toEqual(new Set([sent.join()]));
      await context.close();
    },
  );

  /** Checks that while the service is away, only readers of event streams get a 200. */
  async function seesThatItIsAway(client: ProxyClient): Promise<void> {
    const body = JSON.stringify({ recipient: 'room', content: 'lost' });
    const refused = await Promise.all([
      client.ask('/messages', {
        method: 'POST',
        headers: { ...JSON_BODY, Accept: 'text/event-stream' },
        body,
      }),
      client.ask('/messages?recipient=room'),
      client.ask('/stream?recipient=room'),
      // Not even on the path of a stream.
      ...['/stream', '/stream%20text/event-stream'].map((path) =>
        client.ask(path, { method: 'POST', headers: { ...JSON_BODY, Accept: 'text/event-stream' }, body }),
      ),
    ]);
    for (const { status } of refused) expect([502, 503]).toContain(status);
    const plain = await client.ask('/stream?recipient=room', { headers: { Accept: 'TEXT/Event-Stream' } });
    expect(plain.status).toBe(200);
    expect(plain.headers).not.toHaveProperty('access-control-allow-origin');
    const stream = await client.open('recipient=room', { Origin: 'https://other.example' });
    await stream.waitForEnd();
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'strict-transport-security': 'max-age=31536000',
      'access-control-allow-origin': 'https://other.example',
      'access-control-allow-credentials': 'true',
    });
    expect([stream.law.said, stream.law.faults]).toEqual([['bye'], []]);
  }

  someProxy('a poll is held for a minute', async () => {
    for (const answer of await polls) {
      expect([answer.status, jsonOf(answer)]).toEqual([200, expect.objectContaining({ messages: [] })]);
    }
  });
});

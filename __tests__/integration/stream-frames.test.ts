import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { get, publish, send } from '../support/api.ts';
import { rawRequest, requestBytes } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterAll(cleanUp);

describe('a stream on the wire', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });

  /** Opens a stream on a bare socket and reads until its replay has ended. */
  async function bytesOf(version: string, path: string): Promise<{ head: string; body: string }> {
    let received = '';
    const socket = connect(server.port, '127.0.0.1', () =>
      socket.write(requestBytes({ path, version, headers: { Accept: 'text/event-stream' } })),
    );
    socket.setEncoding('utf8').on('data', (text: string) => (received += text));
    await until(() => /^event: live\n.*\n.*\n\n/m.test(received));
    socket.destroy();
    const end = received.indexOf('\r\n\r\n');
    return { head: received.slice(0, end), body: received.slice(end + 4) };
  }

  test('a stream has its headers, and no chunks', async () => {
    await send(server.url, 'bob', 'hi');
    const { head, body } = await bytesOf('1.1', '/stream?recipient=bob&last=1');
    const [status, ...lines] = head.split('\r\n');
    expect(status).toBe('HTTP/1.1 200 OK');
    expect(
      lines
        .filter((line) => !/^Date: /i.test(line))
        .map((line) => line.toLowerCase())
        .sort(),
    ).toEqual([
      'cache-control: no-store, no-transform',
      'connection: close',
      'content-type: text/event-stream',
      'cross-origin-resource-policy: same-origin',
      'vary: origin',
      'x-accel-buffering: no',
      'x-content-type-options: nosniff',
    ]);
    expect(body).toMatch(/^event: ready\nretry: \d+\ndata: .*\nid: .*\n\n/);
    expect(body).not.toContain('\r');
  });

  test('a stream names UTF-8 only to clients that would otherwise assume Latin-1', async () => {
    const typeFor = async (agent: string): Promise<unknown> => {
      const device = await DeviceStream.open(server.url, 'recipient=bob', {
        headers: { 'User-Agent': agent },
      });
      device.cut();
      return device.response.headers['content-type'];
    };
    expect(await typeFor('python-requests/2.32.3')).toBe('text/event-stream; charset=utf-8');
    expect(await typeFor('Mozilla/5.0')).toBe('text/event-stream');
  });

  test('a stream has the same bytes for a client of HTTP/1.0', async () => {
    const path = '/stream?recipient=bob&last=1';
    const [one, zero] = [await bytesOf('1.1', path), await bytesOf('1.0', path)];
    const withoutRetry = (body: string) => body.replace(/^retry: \d+$/m, '');
    expect(withoutRetry(zero.body)).toBe(withoutRetry(one.body));
  });

  test('HEAD of a stream has the same headers and no body, and counts as no device', async () => {
    const path = '/stream?recipient=bob&last=1';
    const head = await rawRequest(server.port, { method: 'HEAD', path });
    const { head: ofGet } = await bytesOf('1.1', path);
    const plain = (text: string) =>
      text
        .split('\r\n')
        .filter((line) => !/^Date: /i.test(line))
        .sort();
    expect(plain(head.head)).toEqual(plain(ofGet));
    expect(head.text).toBe('');
    expect((await get(server.url, '/presence?recipient=nobody-yet')).body).toMatchObject({
      'nobody-yet': { online: false, devices: 0, lastSeen: null },
    });
    await rawRequest(server.port, { method: 'HEAD', path: '/stream?recipient=nobody-yet' });
    expect((await get(server.url, '/presence?recipient=nobody-yet')).body).toMatchObject({
      'nobody-yet': { online: false, devices: 0, lastSeen: null },
    });
  });

  test('a stream has ready with its retry, then the backlog, then live, each as the contract shows it', async () => {
    await publish(
      server.url,
      [1, 2, 3].map((content) => ({ recipient: 'carol', content })),
    );
    const device = await DeviceStream.open(server.url, 'recipient=carol&lastEventId=0');
    const live = await device.waitFor('live');
    const [, second, third] = device.messages;
    const tag = /-([^"\s]+)$/.exec(live.id ?? '')?.[1] ?? '';
    expect(tag).not.toBe('');
    const frames = device.raw.split('\n\n');
    expect(frames[0]).toMatch(
      /^event: ready\nretry: \d{4}\ndata: {"type":"ready","cursor":"0","gap":false,"heartbeatSeconds":15}\nid: 0$/,
    );
    expect(frames[2]).toBe(`data: ${JSON.stringify(second)}\nid: ${second?.id ?? 0}-${tag}`);
    expect(frames[4]).toBe(
      `event: live\ndata: {"type":"live","cursor":"${third?.id ?? 0}-${tag}","replayed":3}\n` +
        `id: ${third?.id ?? 0}-${tag}`,
    );
    expect(frames.slice(5)).toEqual(['']);
    const next = await send(server.url, 'carol', 4);
    await device.waitForMessages(4);
    expect(device.raw.split('\n\n').slice(5)).toEqual([
      `data: ${JSON.stringify(next)}\nid: ${next.id}-${tag}`,
      '',
    ]);
  });

  test('ready has the cursor of a stream, so that a device that is cut before its first message misses nothing', async () => {
    await send(server.url, 'dora', 'before');
    for (const query of ['recipient=dora', 'recipient=dora&last=0']) {
      const device = await DeviceStream.open(server.url, query);
      const ready = await device.waitFor('ready');
      device.cut();
      expect(ready.data).toEqual({ type: 'ready', cursor: ready.id, gap: false, heartbeatSeconds: 15 });
      const missed = await send(server.url, 'dora', 'missed');
      const again = await DeviceStream.open(server.url, query, { lastEventId: ready.id ?? '' });
      await again.waitFor('live');
      expect(again.messages).toEqual([missed]);
    }
  });

  test('live has the position of the log, also past messages for others', async () => {
    const { id } = await send(server.url, 'somebody', 'else');
    const device = await DeviceStream.open(server.url, 'recipient=emil&lastEventId=0');
    const live = await device.waitFor('live');
    expect(live.data).toEqual({ type: 'live', cursor: live.id, replayed: 0 });
    expect(live.id?.split('-')[0]).toBe(String(id));
  });

  test('streams have different retries from 1 to 4 s', async () => {
    const devices = await Promise.all(
      Array.from({ length: 30 }, () => DeviceStream.open(server.url, 'recipient=frida')),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const retries = devices.flatMap((device) => device.retries);
    expect(retries).toHaveLength(30);
    expect(retries.filter((retry) => retry < 1000 || retry > 4000)).toEqual([]);
    expect(new Set(retries).size).toBeGreaterThan(10);
  });
});

describe('with HEARTBEAT_SECONDS=1', () => {
  test('a silent stream has heartbeats without an id, and keeps its cursor', async () => {
    const server = await Server.start({ env: { HEARTBEAT_SECONDS: '1' } });
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    const live = await device.waitFor('live');
    await until(() => device.events.filter(({ event }) => event === 'heartbeat').length >= 2);
    for (const { event, id, data } of device.events.slice(2)) {
      const { at } = data as { at: string };
      expect({ event, id, data: data as unknown }).toEqual({
        event: 'heartbeat',
        id: undefined,
        data: { type: 'heartbeat', at: new Date(at).toISOString() },
      });
    }
    expect(device.cursor).toBe(live.id);
    await server.kill();
  });
});

describe('a service with MAX_STREAMS=2', () => {
  let server: Server;
  let devices: DeviceStream[];
  beforeAll(async () => {
    server = await Server.start({ env: { MAX_STREAMS: '2' } });
    await send(server.url, 'bob', 'first');
    devices = await Promise.all([1, 2].map(() => DeviceStream.open(server.url, 'recipient=bob')));
    await Promise.all(devices.map((device) => device.waitFor('live')));
  });

  test('a stream beyond MAX_STREAMS is told in band to come back if its client accepts text/event-stream', async () => {
    for (const headers of [
      { Accept: 'text/event-stream' },
      { Accept: 'text/html, text/event-stream;q=0.9' },
      { Accept: 'Text/Event-Stream' },
    ]) {
      const device = await DeviceStream.open(server.url, 'recipient=bob', { headers });
      await device.waitForEnd();
      expect(device.response.statusCode).toBe(200);
      expect(device.response.headers['content-type']).toMatch(/^text\/event-stream/);
      expect(device.events).toMatchObject([{ event: 'bye', data: { type: 'bye', reason: 'over-limit' } }]);
      expect(device.retries).toHaveLength(1);
      expect(device.retries[0]).toBeGreaterThanOrEqual(5000);
      expect(device.retries[0]).toBeLessThanOrEqual(15_000);
    }
  });

  test.each(['*/*', 'application/json', 'text/*'])(
    'a stream beyond MAX_STREAMS has 503 and Retry-After if its client accepts %s',
    async (accept) => {
      const response = await fetch(`${server.url}/stream?recipient=bob`, { headers: { Accept: accept } });
      expect(response.status).toBe(503);
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await response.json()).toMatchObject({ type: '/problems#unavailable', status: 503 });
    },
  );

  test('a device beyond MAX_STREAMS without a cursor is given the one that it would have begun with', async () => {
    const sent = await send(server.url, 'erin', 1);
    const head = await get(server.url, '/messages?recipient=erin&before=latest');
    for (const [query, cursor] of [
      ['recipient=erin', (head.body as { cursor: string }).cursor],
      ['recipient=erin&last=1', String(sent.id - 1)],
    ] as const) {
      const device = await DeviceStream.open(server.url, query);
      await device.waitForEnd();
      expect(device.find('bye')?.id?.split('-')[0]).toBe(cursor.split('-')[0]);
    }
  });

  test('beyond MAX_STREAMS, a malformed request has its status, and other requests are served', async () => {
    const response = await fetch(`${server.url}/stream?recipient=*bob`, {
      headers: { Accept: 'text/event-stream' },
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ errors: [{ path: '/recipient' }] });
    expect((await get(server.url, '/readyz')).status).toBe(200);
    expect((await get(server.url, '/messages?recipient=bob')).status).toBe(200);
  });

  test('a device beyond MAX_STREAMS that is told to come back keeps its place and its gap', async () => {
    const refused = [];
    for (const [query, lastEventId, gap] of [
      ['recipient=bob', '0', false],
      ['recipient=bob&lastEventId=0', '', false],
      ['recipient=bob&last=1', '0', false],
      ['recipient=bob', 'nonsense', 'unknown'],
      ['recipient=bob', '1000000', 'restored'],
      ['recipient=bob', '1-zzzzzz', 'restored'],
    ] as const) {
      const device = await DeviceStream.open(server.url, query, { lastEventId });
      await device.waitForEnd();
      expect(device.find('bye')?.data).toMatchObject({ reason: 'over-limit' });
      refused.push({ query, lastEventId, gap, cursor: device.cursor });
    }
    await send(server.url, 'bob', 'second');
    for (const device of devices) device.cut();
    for (const { query, lastEventId, gap, cursor } of refused) {
      let device: DeviceStream | undefined;
      await until(async () => {
        // A browser sends the last id that it was given, and its query unchanged.
        device = await DeviceStream.open(server.url, query, { lastEventId: cursor ?? lastEventId });
        await until(() => device?.closed === true || device?.find('live') !== undefined);
        return !device.closed;
      });
      expect({ lastEventId, came: device?.messages }).toMatchObject({
        lastEventId,
        came: [{ content: 'first' }, { content: 'second' }],
      });
      expect(device?.find('ready')?.data).toMatchObject({ gap });
      device?.cut();
    }
  });
});

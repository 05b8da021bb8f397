import { createECDH } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, get, request } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { readNumber } from '../support/file.ts';
import { expectProblem } from '../support/problems.ts';
import { PushDevice } from '../support/push-device.ts';
import { subscriptionsIn } from '../support/push-state.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, cookie, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

type Fields = Record<string, unknown>;

/** A host of the browsers' own; nothing is sent to it, since nothing is published for whoever subscribes. */
const newDevice = (): PushDevice => new PushDevice('fcm.googleapis.com');

function call(
  server: Server,
  method: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return request(`${server.url}/push-subscriptions`, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

interface Shown {
  readonly id: number;
  readonly sub: string | null;
}

/** Waits until a database has no subscription. With several nodes it may be another node's. */
function noneIsLeftIn(database: string): Promise<void> {
  return until(() => subscriptionsIn(database) === 0, 'the end of the subscriptions');
}

/** The devices of a recipient, as a client sees them. */
async function subscriptionsOf(
  server: Server,
  recipient: string,
  headers: Record<string, string> = {},
): Promise<readonly Shown[]> {
  const answer = await request(`${server.url}/push-subscriptions?recipient=${recipient}`, { headers });
  expect(answer.status).toBe(200);
  return (answer.body as { subscriptions: Shown[] }).subscriptions;
}

describe('without a key', () => {
  let server: Server;
  beforeAll(async () => (server = await Server.start()));
  afterAll(cleanUp);

  const subscribe = (fields: Fields): Promise<Answer> => call(server, 'POST', fields);
  const listOf = (recipient: string): Promise<Answer> =>
    get(server.url, `/push-subscriptions?recipient=${recipient}`);

  test('GET /push-key answers a key that browsers accept: a point of P-256', async () => {
    const answer = await get(server.url, '/push-key');
    expect(answer).toMatchObject({ status: 200, body: { publicKey: expect.any(String) } });
    const point = Buffer.from((answer.body as { publicKey: string }).publicKey, 'base64url');
    expect([point.length, point[0]]).toEqual([65, 4]);
    expectProblem(await get(server.url, '/push-key?x=1'), 400, ['/x']);
  });

  test('a device is new once: 201, then 200, and the list shows it without its secrets', async () => {
    const [one, two] = [newDevice(), newDevice()];
    const first = await subscribe({ recipient: 'ann', subscription: one.subscription });
    expect(first).toMatchObject({
      status: 201,
      body: { recipient: 'ann', reader: 'ann', expirationTime: null, createdAt: expect.stringMatching(/Z$/) },
    });
    const again = await subscribe({ recipient: 'ann', subscription: one.subscription });
    expect([again.status, again.body as unknown]).toEqual([200, first.body]);
    expect((await subscribe({ recipient: 'ann', subscription: two.subscription })).status).toBe(201);
    expect((await subscribe({ recipient: 'ben', subscription: one.subscription })).status).toBe(201);
    const list = await listOf('ann');
    expect((list.body as { subscriptions: unknown[] }).subscriptions).toHaveLength(2);
    for (const { endpoint, subscription } of [one, two]) {
      expect(JSON.stringify(list.body)).toContain(`https://fcm.googleapis.com/…${endpoint.slice(-6)}`);
      for (const secret of [endpoint.slice(-7), ...Object.values(subscription.keys)]) {
        expect(JSON.stringify(list.body)).not.toContain(secret);
      }
    }
  });

  test('new keys and a new expirationTime of a known device are stored', async () => {
    const device = newDevice();
    const { keys } = newDevice().subscription;
    const before = { recipient: 'kim', subscription: device.subscription };
    expect((await subscribe(before)).status).toBe(201);
    const after = { recipient: 'kim', subscription: { ...device.subscription, keys, expirationTime: 4e12 } };
    expect(await subscribe(after)).toMatchObject({ status: 200, body: { expirationTime: 4e12 } });
    const sql = 'SELECT count(*) FROM pushSubscriptions WHERE p256dh = ? AND auth = ?';
    expect(readNumber(server.database, sql, keys.p256dh, keys.auth)).toBe(1);
  });

  test('DELETE ends a device for all inboxes with 204, also if it is unknown', async () => {
    const device = newDevice();
    for (const recipient of ['cleo', 'room'])
      await subscribe({ recipient, subscription: device.subscription });
    for (let count = 0; count < 2; count++) {
      const answer = await call(server, 'DELETE', { endpoint: device.endpoint });
      expect([answer.status, answer.body as unknown]).toEqual([204, undefined]);
    }
    for (const recipient of ['cleo', 'room']) {
      expect((await listOf(recipient)).body).toEqual({ subscriptions: [] });
    }
  });

  test('DELETE with a recipient ends a device for that inbox only', async () => {
    const { subscription, endpoint } = newDevice();
    for (const recipient of ['elsa', 'room-e']) await subscribe({ recipient, subscription });
    const sql = 'SELECT id FROM pushSubscriptions WHERE endpoint = ? AND recipient = ?';
    const before = readNumber(server.database, sql, endpoint, 'elsa');
    expect((await call(server, 'DELETE', { endpoint, recipient: 'room-e' })).status).toBe(204);
    expect((await listOf('room-e')).body).toEqual({ subscriptions: [] });
    expect(readNumber(server.database, sql, endpoint, 'elsa')).toBe(before);
    expectProblem(await call(server, 'DELETE', { endpoint, recipient: 'a*' }), 400, ['/recipient']);
  });

  test('DELETE with an id ends the subscription that GET shows with it, and no other of the device', async () => {
    const { subscription, endpoint } = newDevice();
    const made = await subscribe({ recipient: 'fay', subscription });
    for (const recipient of ['room-f', 'room-g']) await subscribe({ recipient, subscription });
    await subscribe({ recipient: 'fay', subscription: newDevice().subscription });
    const idsOf = async (recipient: string): Promise<number[]> =>
      (await subscriptionsOf(server, recipient)).map(({ id }) => id);
    const [id = 0, other] = await idsOf('fay');
    expect(made.body).toMatchObject({ id, sub: null });
    expect((await call(server, 'DELETE', { id })).status).toBe(204);
    expect(await idsOf('fay')).toEqual([other]);
    expect([await idsOf('room-f'), await idsOf('room-g')]).toEqual([[id + 1], [id + 2]]);
    expectProblem(await call(server, 'DELETE', { id }), 404, []);
    // As curl sends it.
    const form = { method: 'DELETE', body: new URLSearchParams({ id: String(id + 1) }) };
    expect((await request(`${server.url}/push-subscriptions`, form)).status).toBe(204);
    expect(await idsOf('room-f')).toEqual([]);
    // An id is never used again.
    const again = await subscribe({ recipient: 'fay', subscription });
    expect((again.body as { id: number }).id).toBeGreaterThan(other ?? Infinity);
    expect((await scrape(server.url)).value('tidings_push_subscriptions')).toBe(
      subscriptionsIn(server.database),
    );
    expect((await call(server, 'DELETE', { endpoint })).status).toBe(204);
  });

  test.each<[unknown, string[]]>([
    [{ id: '7' }, ['/id']],
    [{ id: 0 }, ['/id']],
    [{ id: -1 }, ['/id']],
    [{ id: 1.5 }, ['/id']],
    [{ id: null }, ['/id']],
    [{ id: [1] }, ['/id']],
    [{ id: 2 ** 53 }, ['/id']],
    [{ id: 1, endpoint: newDevice().endpoint }, ['/endpoint']],
    [{ id: 1, recipient: 'bob' }, ['/recipient']],
    [{ id: 'x', recipient: 'bob', more: 1 }, ['/more', '/id', '/recipient']],
    [{}, ['/endpoint']],
  ])('DELETE with %j is refused, and the refusal names the field', async (body, paths) => {
    expectProblem(await call(server, 'DELETE', body), 400, paths);
  });

  test('DELETE with an id that was never given is 404', async () => {
    expectProblem(await call(server, 'DELETE', { id: Number.MAX_SAFE_INTEGER }), 404, []);
  });

  test('the newest 50 devices of one reader are kept', async () => {
    const devices = Array.from({ length: 52 }, newDevice);
    for (const { subscription } of devices) await subscribe({ recipient: 'dora', subscription });
    await subscribe({ recipient: 'dora', reader: 'another', subscription: newDevice().subscription });
    const { subscriptions } = (await listOf('dora')).body as { subscriptions: { endpoint: string }[] };
    expect(subscriptions.slice(0, 50).map(({ endpoint }) => endpoint.slice(-6))).toEqual(
      devices.slice(2).map(({ endpoint }) => endpoint.slice(-6)),
    );
    expect(subscriptions).toHaveLength(51);
    // The rest of the service does not know the removed one either.
    const metrics = await scrape(server.url);
    expect(metrics.value('tidings_push_subscriptions')).toBe(subscriptionsIn(server.database));
  });

  const good = newDevice().subscription;
  const point = (bytes: Buffer): Fields => ({ keys: { ...good.keys, p256dh: bytes.toString('base64url') } });
  const curve = createECDH('prime256v1');
  const onCurve = curve.generateKeys();
  const offCurve = Buffer.from(onCurve);
  offCurve[64] = (offCurve[64] ?? 0) ^ 1;
  test.each<[string, Fields, string]>([
    ['no endpoint', { endpoint: undefined }, '/endpoint'],
    ['an endpoint that is no text', { endpoint: 1 }, '/endpoint'],
    ['an endpoint of plain http', { endpoint: 'http://fcm.googleapis.com/x' }, '/endpoint'],
    ['an endpoint elsewhere', { endpoint: 'https://push.example.org/x' }, '/endpoint'],
    ['no keys', { keys: undefined }, '/keys'],
    ['a key that is too short', point(onCurve.subarray(0, 64)), '/keys/p256dh'],
    ['a compressed key', point(curve.getPublicKey(null, 'compressed')), '/keys/p256dh'],
    [
      'a key of another form',
      point(Buffer.concat([Buffer.of(6 + ((onCurve[64] ?? 0) & 1)), onCurve.subarray(1)])),
      '/keys/p256dh',
    ],
    ['a key off the curve', point(offCurve), '/keys/p256dh'],
    [
      'a key that is no base64url',
      { keys: { ...good.keys, p256dh: `${good.keys.p256dh}=` } },
      '/keys/p256dh',
    ],
    ['a secret that is too short', { keys: { ...good.keys, auth: 'AAAA' } }, '/keys/auth'],
    ['a secret that is too long', { keys: { ...good.keys, auth: `${good.keys.auth}AAAA` } }, '/keys/auth'],
    ['an end that is no time', { expirationTime: 'tomorrow' }, '/expirationTime'],
    ['an end out of all time', { expirationTime: 1e20 }, '/expirationTime'],
  ])('a subscription with %s is refused', async (_what, change, path) => {
    const answer = await subscribe({ recipient: 'bob', subscription: { ...good, ...change } });
    expectProblem(answer, 400, [`/subscription${path}`]);
  });

  test('a subscription with a missing, wrong or unknown field is refused, and the refusal names the field', async () => {
    expectProblem(await subscribe({ recipient: 'bob' }), 400, ['/subscription']);
    expectProblem(await subscribe({ recipient: 'bob', subscription: [good] }), 400, ['/subscription']);
    expectProblem(await subscribe({ subscription: good }), 400, ['/recipient']);
    expectProblem(await subscribe({ recipient: '$x', subscription: good }), 400, ['/recipient']);
    expectProblem(await subscribe({ recipient: 'bob', reader: 1, subscription: good }), 400, ['/reader']);
    expectProblem(await subscribe({ recipient: '*', subscription: good }), 400, ['/recipient']);
    expectProblem(await subscribe({ recipient: 'bob', subscription: good, x: 1 }), 400, ['/x']);
    expectProblem(await call(server, 'POST', [good]), 400, ['']);
    expectProblem(await call(server, 'DELETE', {}), 400, ['/endpoint']);
    expectProblem(await call(server, 'DELETE', { endpoint: good.endpoint, x: 1 }), 400, ['/x']);
    expectProblem(await get(server.url, '/push-subscriptions'), 400, ['/recipient']);
    expectProblem(await call(server, 'PUT', {}), 405);
    expectProblem(await call(server, 'POST', good, { 'Content-Type': 'text/plain' }), 415);
    // A browser may add fields.
    const more = { ...good, options: {} };
    expect((await subscribe({ recipient: 'bob', subscription: more })).status).toBe(201);
  });
});

describe('with a token', () => {
  afterEach(cleanUp);
  const start = (): Promise<Server> => Server.start({ env: { AUTH_SECRET: SECRET } });
  const headersOf = async (sub: string, grants?: Grants): Promise<Record<string, string>> =>
    bearer(await tokenFor(sub, grants));

  test('a client subscribes to the inboxes that its token reads, by default to its own', async () => {
    const server = await start();
    const alice = await headersOf('alice', { read: ['alice', 'room-*'] });
    const { subscription } = newDevice();
    expect(await call(server, 'POST', { subscription }, alice)).toMatchObject({
      status: 201,
      body: { recipient: 'alice', reader: 'alice' },
    });
    expect(await call(server, 'POST', { recipient: 'room-1', subscription }, alice)).toMatchObject({
      status: 201,
      body: { recipient: 'room-1', reader: 'alice' },
    });
    expectProblem(await call(server, 'POST', { recipient: 'bob', subscription }, alice), 403, ['/recipient']);
    expectProblem(
      await call(server, 'POST', { recipient: 'room-1', reader: 'bob', subscription }, alice),
      403,
      ['/reader'],
    );
    expect(subscriptionsIn(server.database)).toBe(2);
    const listFor = (query: string, headers: Record<string, string>): Promise<Answer> =>
      request(`${server.url}/push-subscriptions${query}`, { headers });
    expect((await listFor('', alice)).body).toMatchObject({ subscriptions: [{ recipient: 'alice' }] });
    expectProblem(await listFor('?recipient=bob', alice), 403, ['/recipient']);
    // In a room nobody sees the others' devices.
    const bob = await headersOf('bob', { read: ['bob', 'room-*'] });
    expect((await listFor('?recipient=room-1', bob)).body).toEqual({ subscriptions: [] });
    for (const path of ['/push-key', '/push-subscriptions']) expectProblem(await get(server.url, path), 401);
  });

  test('a client that knows a device and may read one of its inboxes ends it; others are told nothing', async () => {
    const server = await start();
    const device = newDevice();
    const { subscription, endpoint } = device;
    const alice = await headersOf('alice', { read: ['alice', 'room-*'] });
    for (const recipient of ['alice', 'room-1']) {
      expect((await call(server, 'POST', { recipient, subscription }, alice)).status).toBe(201);
    }
    expect((await call(server, 'DELETE', { endpoint }, await headersOf('mallory'))).status).toBe(204);
    expect(subscriptionsIn(server.database)).toBe(2);
    // One may end it for what one may read.
    const other = await headersOf('dave', { read: ['dave', 'room-1'] });
    expect((await call(server, 'DELETE', { endpoint, recipient: 'alice' }, other)).status).toBe(204);
    expect(subscriptionsIn(server.database)).toBe(2);
    const member = await headersOf('bob', { read: ['room-1'] });
    expect((await call(server, 'DELETE', { endpoint }, member)).status).toBe(204);
    await noneIsLeftIn(server.database);
  });

  test('a client ends a device by an id that it may see; to others the device does not exist', async () => {
    const server = await start();
    const alice = await headersOf('alice', { read: ['alice', 'room-*'] });
    const { subscription } = newDevice();
    for (const recipient of ['alice', 'room-1']) {
      expect((await call(server, 'POST', { recipient, subscription }, alice)).status).toBe(201);
    }
    const end = (id: number, headers: Record<string, string>) => call(server, 'DELETE', { id }, headers);
    const others: Grants[] = [
      {},
      { read: [] },
      { read: ['mallory', 'room-1'] },
      { read: ['room-*'], sendAs: ['*'], sendTo: ['*'], presence: ['*'] },
    ];
    for (const grants of others) {
      const mallory = await headersOf('mallory', grants);
      const unknown = await end(99, mallory);
      expectProblem(unknown, 404, []);
      for (const id of [1, 2]) {
        const answer = await end(id, mallory);
        expect([answer.status, answer.body]).toEqual([404, unknown.body]);
      }
    }
    // One may read the reader, and not the room.
    const friend = await headersOf('friend', { read: ['alice'] });
    expectProblem(await end(2, friend), 404, []);
    expect(subscriptionsIn(server.database)).toBe(2);
    // Whoever signs in as the person, or may read everything, ends what is shown.
    const itself = await subscriptionsOf(server, 'room-1', alice);
    expect(itself).toMatchObject([{ id: 2, sub: 'alice' }]);
    expect((await end(2, alice)).status).toBe(204);
    const admin = await headersOf('admin', { read: ['*'] });
    expect(await subscriptionsOf(server, 'alice', admin)).toMatchObject([{ id: 1, sub: 'alice' }]);
    expect((await end(1, admin)).status).toBe(204);
    await noneIsLeftIn(server.database);
    expectProblem(await end(1, admin), 404, []);
    expectProblem(await call(server, 'DELETE', { id: 1 }), 401, []);
  });

  test('a subscription names the client that made it, also if another client renewed it', async () => {
    const server = await start();
    const { subscription } = newDevice();
    const recipient = 'room';
    const post = async (sub: string) =>
      call(server, 'POST', { recipient, subscription }, await headersOf(sub, { read: [sub, 'room'] }));
    expect(await post('ann')).toMatchObject({ status: 201, body: { id: 1, sub: 'ann', reader: 'ann' } });
    expect(await post('ben')).toMatchObject({ status: 200, body: { id: 1, sub: 'ann', reader: 'ben' } });
  });

  test('with a session, only a page of this site changes subscriptions', async () => {
    const server = await start();
    const session = cookie(await tokenFor('alice'));
    const { subscription, endpoint } = newDevice();
    for (const headers of [session, { ...session, Origin: 'https://evil.example' }]) {
      expectProblem(await call(server, 'POST', { subscription }, headers), 403);
      expectProblem(await call(server, 'DELETE', { endpoint }, headers), 403);
    }
    const own = { ...session, Origin: server.url };
    expect((await call(server, 'POST', { subscription }, own)).status).toBe(201);
    expect((await call(server, 'DELETE', { endpoint }, own)).status).toBe(204);
  });
});

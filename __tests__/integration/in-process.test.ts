import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { publish, request, send } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { build, type Built, Held } from '../support/in-process.ts';
import { pullAll } from '../support/pull.ts';
import { PushDevice } from '../support/push-device.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { AUDIENCE, bearer, ISSUER, jwksFile, newKey, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

let held: Held;
let built: Built[];
beforeEach(() => {
  built = [];
  held = new Held();
  held.watch();
});
afterEach(async () => {
  held.end();
  await Promise.all(built.map(({ service }) => service.close()));
  await cleanUp();
});

function make(environment: Readonly<Record<string, string>> = {}, onFatal?: (error: Error) => void): Built {
  const made = build(environment, onFatal);
  built.push(made);
  return made;
}

/** Starts a service that is to listen. */
async function origin({ service }: Built): Promise<string> {
  const url = await service.start();
  if (url === undefined) throw new Error('it does not listen');
  return url;
}

/** Waits until services hold nothing any more, or fails with what they hold. */
async function nothingHeld(): Promise<void> {
  const databases = built.map(({ database }) => database);
  let left: string[] = [];
  const isNothing = (): boolean => (left = held.now(...databases)).length === 0;
  // Less than the time after which presence takes an address offline.
  await until(isNothing, 'nothing is held', 4000).catch(() => undefined);
  expect(left).toEqual([]);
}

/** A program that has a port, and says nothing on it. */
async function silentServer(): Promise<{ server: Server; port: number; close: () => Promise<void> }> {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { server, port: (server.address() as AddressInfo).port, close };
}

test('a service that was made but not started has done nothing', async () => {
  const { service, database } = make();
  await setImmediate();
  expect([held.now(), existsSync(database)]).toEqual([[], false]);
  await service.close();
});

test('two services in one process each serve their own log, and leave nothing open when they are closed', async () => {
  const [one, other] = [make(), make()];
  const [first, second] = await Promise.all([origin(one), origin(other)]);
  const streams = await Promise.all(
    [first, second].map((url) => DeviceStream.open(url, 'recipient=bob&presence=ann')),
  );
  for (const stream of streams) await stream.waitFor('live');
  const sent = [await send(first, 'bob', 'to the first'), await send(second, 'bob', 'to the second')];
  for (const [index, stream] of streams.entries()) {
    await stream.waitForMessages(1);
    expect(stream.messages).toEqual([sent[index]]);
  }
  for (const url of [first, second]) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^tidings_messages_stored_total 1$/m);
    expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m);
  }
  await Promise.all([one.service.close(), one.service.close()]);
  await streams[0]?.waitForEnd();
  expect(streams[0]?.events.at(-1)).toMatchObject({ event: 'bye', data: { reason: 'shutdown' } });
  await send(second, 'bob', 'after the end of the first');
  await streams[1]?.waitForMessages(2);
  await other.service.close();
  await streams[1]?.waitForEnd();
  await nothingHeld();
});

test('a closed service no longer reads the files of its keys', async () => {
  const secrets = join(newFolder(), 'secrets');
  writeFileSync(secrets, `${SECRET}\n`);
  const made = make({
    AUTH_SECRET_FILE: secrets,
    AUTH_JWKS: jwksFile((await newKey('ES256', 'one')).publicJwk),
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
  });
  const url = await origin(made);
  const headers = bearer(await tokenFor('bob', {}, { iss: ISSUER, aud: AUDIENCE }));
  expect((await request(`${url}/session`, { headers })).body).toMatchObject({ sub: 'bob' });
  await made.service.close();
  await nothingHeld();
});

test('a closed service no longer waits for the time of a notification', async () => {
  const made = make({ PUSH_DELAY_SECONDS: '3600', PUSH_HOSTS: 'push.example.org' });
  const url = await origin(made);
  const { subscription } = new PushDevice();
  const subscribed = await request(`${url}/push-subscriptions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ recipient: 'bob', subscription }),
  });
  expect(subscribed.status).toBe(201);
  expect((await publish(url, { recipient: 'bob', content: 'hi' })).status).toBe(201);
  await made.service.close();
  await nothingHeld();
});

test('a second call to start a service returns the result of the first', async () => {
  const one = make();
  expect(new Set(await Promise.all([one.service.start(), one.service.start()])).size).toBe(1);
});

test('a service that is closed before its start never starts', async () => {
  const { service, database } = make();
  await service.close();
  expect([await service.start(), existsSync(database)]).toEqual([undefined, false]);
  await nothingHeld();
});

test('a service that is closed while it waits for keys stops waiting, touches nothing and logs nothing', async () => {
  const issuer = await silentServer();
  const asked = once(issuer.server, 'connection');
  const { service, database, lines } = make({
    AUTH_JWKS: `https://127.0.0.1:${issuer.port}/jwks.json`,
    AUTH_ISSUER: 'https://issuer.example/',
    AUTH_AUDIENCE: 'tidings',
  });
  const started = service.start();
  await asked;
  await service.close();
  expect([await started, existsSync(database), lines]).toEqual([undefined, false, []]);
  await issuer.close();
  await nothingHeld();
});

test('a service that is closed at any turn of its start leaves nothing open, and the next one starts', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  for (const turns of [0, 1, 2, 3, 5, 8, 13]) {
    const { service } = make({ DATABASE: database });
    const started = service.start();
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    await service.close();
    await started;
    await nothingHeld();
  }
  const last = await origin(make({ DATABASE: database }));
  const message = await send(last, 'bob', 'hi');
  expect(await pullAll(last, 'bob')).toEqual([message]);
});

test('a start on a port of another program leaves nothing open, and works once the port is free', async () => {
  const blocker = await silentServer();
  const environment = { PORT: String(blocker.port) };
  await expect(make(environment).service.start()).rejects.toThrow(`PORT ${blocker.port}`);
  await blocker.close();
  await nothingHeld();
  expect(await origin(make(environment))).toContain(`:${blocker.port}`);
});

test('a start on a file that is not a database leaves nothing open, and works once the file is empty', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  writeFileSync(database, 'a letter');
  await expect(make({ DATABASE: database }).service.start()).rejects.toThrow('is not a SQLite database');
  await nothingHeld();
  writeFileSync(database, '');
  expect(await origin(make({ DATABASE: database }))).toMatch(/^http:/);
});

test('a start on a database of another service gives its port back, and works once that service is closed', async () => {
  const holder = make();
  await origin(holder);
  const { port, close } = await silentServer();
  await close();
  const environment = { DATABASE: holder.database, PORT: String(port) };
  await expect(make(environment).service.start()).rejects.toThrow('is held by another Tidings process');
  await holder.service.close();
  await nothingHeld();
  expect(await origin(make(environment))).toContain(`:${port}`);
});

test('a start that cannot read the position of the log fails with one line, and not as a dead writer', async () => {
  const first = make();
  await origin(first);
  await first.service.close();
  withDatabase(first.database, (database) => database.exec('DELETE FROM position'));
  const fatal: Error[] = [];
  const again = make({ DATABASE: first.database }, (error) => fatal.push(error));
  await expect(again.service.start()).rejects.toMatchObject({
    name: 'StartError',
    message: expect.stringContaining(first.database) as unknown,
  });
  await nothingHeld();
  expect(fatal).toEqual([]);
});

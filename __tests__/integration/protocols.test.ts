/** The promises to a device, for each protocol. If a protocol lacks something, a test asks for it and shows the answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { readNumber } from '../support/file.ts';
import { residentBytes } from '../support/memory.ts';
import { expectProblem } from '../support/problems.ts';
import {
  type Device,
  expectEnded,
  PROTOCOLS,
  said,
  type StallingDevice,
  type Streaming,
} from '../support/protocols.ts';
import { pull, pullAll } from '../support/pull.ts';
import { publishLargely } from '../support/publish-largely.ts';
import { Publisher, storedBy } from '../support/publisher.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const LARGEST = 'x'.repeat(48 * 1024 - 2);
const MEBIBYTE = 1024 * 1024;

describe.each(PROTOCOLS)('a device that speaks $name', (protocol) => {
  /** A test of what streams have: a protocol without them shows in tests of its own what it has instead. */
  const ofStreams = (
    name: string,
    run: (streams: Streaming) => Promise<void>,
    milliseconds?: number,
  ): void => {
    const { streaming } = protocol;
    if (streaming !== undefined) test(name, () => run(streaming), milliseconds);
  };

  describe('a service without a key', () => {
    let server: Server;
    beforeAll(async () => {
      server = await Server.start();
    });
    afterAll(cleanUp);

    test('a device begins now, after a cursor, or with the newest messages', async () => {
      const sent: WireMessage[] = [];
      for (const content of [1, 2, 3]) sent.push(await send(server.url, 'ann', content));
      const now = await protocol.open(server.url, ['ann']);
      const first = await protocol.open(server.url, ['ann'], { cursor: '0' });
      const last = await protocol.open(server.url, ['ann'], { last: 2 });
      expect([now.messages, first.messages, last.messages]).toEqual([[], sent, sent.slice(1)]);
      sent.push(await send(server.url, 'ann', 4));
      expect(await now.waitForMessages(1)).toEqual(sent.slice(3));
      expect(await first.waitForMessages(4)).toEqual(sent);
      expect(await last.waitForMessages(3)).toEqual(sent.slice(1));
      const after = await protocol.open(server.url, ['ann'], { cursor: `${sent[1]?.id}` });
      expect(after.messages).toEqual(sent.slice(2));
      const end = await protocol.open(server.url, ['ann'], { cursor: first.cursor ?? '' });
      expect(end.messages).toEqual([]);
      expect([now, first, last, after, end].map((connection) => connection.gap)).toEqual(
        [now, first, last, after, end].map(() => false),
      );
      for (const connection of [now, first, last, after, end]) connection.cut();
    });

    test('a device follows several inboxes, and gets a message that is in two of them once', async () => {
      const connection = await protocol.open(server.url, ['bea', 'cem']);
      const sent: WireMessage[] = [];
      for (const [sender, recipient] of [
        ['bea', 'cem'],
        ['x', 'bea'],
        ['cem', 'x'],
        ['x', 'y'],
        ['bea', 'bea'],
      ] as const) {
        sent.push(await send(server.url, recipient, 1, { sender }));
      }
      const expected = sent.filter((_message, index) => index !== 3);
      expect(await connection.waitForMessages(4)).toEqual(expected);
      const replayed = await protocol.open(server.url, ['bea', 'cem'], { cursor: '0' });
      expect(replayed.messages).toEqual(expected);
      const newest = await protocol.open(server.url, ['bea', 'cem'], { last: 3 });
      expect(newest.messages).toEqual(expected.slice(1));
      for (const one of [connection, replayed, newest]) one.cut();
    });

    test('a device with an unknown cursor, or one ahead of the log, is told of a gap and gets everything that is held', async () => {
      await send(server.url, 'dot', 1);
      const held = await pullAll(server.url, 'dot');
      for (const [cursor, gap] of [
        ['nonsense', 'unknown'],
        ['1000000', 'restored'],
        ['1-zzzzzz', 'restored'],
        ['0', false],
      ] as const) {
        const connection = await protocol.open(server.url, ['dot'], { cursor });
        expect([cursor, connection.gap, connection.messages]).toEqual([cursor, gap, held]);
        connection.cut();
      }
    });

    test('a device that begins while messages come misses none between replay and live, and gets none twice', async () => {
      const publishers = Publisher.several(4, server.url, 'eve', 2000);
      await until(() => storedBy(publishers).length > 100);
      const devices: Device[] = [];
      for (let count = 0; count < 12; count++)
        devices.push(await protocol.begin(server.url, ['eve'], { cursor: '0' }));
      await until(() => storedBy(publishers).length > 400);
      await Promise.all(publishers.map((publisher) => publisher.end()));
      const ids = storedBy(publishers).map(({ id }) => id);
      for (const connection of devices) {
        await connection.waitForMessages(ids.length);
        expect(connection.ids).toEqual(ids);
        connection.cut();
      }
    });

    test('a device that is cut at random moments and comes back gets each message once, in order', async () => {
      await withRandom(async (random) => {
        const publishers = Publisher.several(3, server.url, 'flo');
        let isOver = false;
        const visits: number[] = [];
        const wander = async (_: unknown, index: number): Promise<number[]> => {
          const seen: number[] = [];
          let cursor = '0';
          for (let visit = 1; ; visit++) {
            visits[index] = visit;
            const final = isOver;
            const connection = await protocol.begin(server.url, ['flo'], { cursor });
            if (final) {
              const last = storedBy(publishers).at(-1)?.id ?? 0;
              await until(() => (connection.ids.at(-1) ?? seen.at(-1) ?? 0) >= last, 'the last message');
            } else if (random.chance(0.8)) {
              await sleep(random.integer(0, 40));
            }
            connection.cut();
            seen.push(...connection.ids);
            cursor = connection.cursor ?? cursor;
            expect([false, undefined]).toContain(connection.gap);
            if (final) return seen;
            await sleep(random.integer(0, 20));
          }
        };
        const wandering = Array.from({ length: 6 }, wander);
        const isEnough = (): boolean =>
          storedBy(publishers).length > 400 && visits.every((count) => count > 3);
        await until(isEnough, 'enough messages and visits');
        await Promise.all(publishers.map((publisher) => publisher.end()));
        isOver = true;
        const ids = storedBy(publishers).map(({ id }) => id);
        for (const seen of await Promise.all(wandering)) expect(seen).toEqual(ids);
        for (const count of visits) expect(count).toBeGreaterThan(3);
      });
    });

    test('a device makes its address present', async () => {
      const presence = async (): Promise<unknown> =>
        ((await get(server.url, '/presence?recipient=gil')).body as { gil: { devices: number } }).gil.devices;
      const connection = await protocol.open(server.url, ['gil']);
      await until(async () => (await presence()) === 1);
      connection.cut();
      await until(async () => (await presence()) === 0);
    });

    ofStreams('a device learns who is present, and each change', async (streams) => {
      const watching = await streams.openWith(server.url, 'recipient=hal&presence=ida', {});
      const states = (): unknown[] =>
        said(watching, 'presence').map(({ data }) => {
          const { recipient, online } = data as { recipient: string; online: boolean };
          return [recipient, online];
        });
      await until(() => states().length === 1);
      const ida = await protocol.open(server.url, ['ida']);
      await until(() => states().length === 2);
      ida.cut();
      await until(() => states().length === 3);
      expect(states()).toEqual([false, true, false].map((online) => ['ida', online]));
      watching.cut();
    });

    ofStreams('a live device gets messages that are not stored, without an id', async () => {
      const connection = await protocol.open(server.url, ['jan']);
      const { cursor } = connection;
      const draft = { recipient: 'jan', content: 'typing', ephemeral: true };
      expect((await publish(server.url, draft)).body).toEqual({ devices: 1 });
      expect((await connection.waitForMessages(1))[0]).not.toHaveProperty('id');
      expect(connection.cursor).toBe(cursor);
      connection.cut();
    });

    if (protocol.streaming === undefined) {
      test('a device that polls is told neither of presence nor of messages that are not stored', async () => {
        expectProblem(await protocol.refused(server.url, 'recipient=kay&presence=lea'), 400, ['/presence']);
        const connection = await protocol.open(server.url, ['kay']);
        const presence = async () => JSON.stringify((await get(server.url, '/presence?recipient=kay')).body);
        await until(async () => (await presence()).includes('"devices":1'));
        const draft = { recipient: 'kay', content: 'typing', ephemeral: true };
        expect((await publish(server.url, draft)).body).toEqual({ devices: 0 });
        connection.cut();
      });

      test('a device that polls gets at most a mebibyte at once', async () => {
        await publishLargely(server, 60, LARGEST);
        const page = await pull(server.url, 'recipient=bob&after=0&limit=1000');
        expect(JSON.stringify(page).length).toBeLessThanOrEqual(MEBIBYTE + 1000);
        expect(page.more).toBe(true);
      });
    }
  });

  describe('a service of its own', () => {
    afterEach(cleanUp);

    test('a device is told if messages after its cursor were purged, and gets the ones that are left', async () => {
      const server = await Server.start({ env: { RETENTION_MESSAGES: '100' } });
      for (let round = 0; round < 3; round++) {
        const batch = Array.from({ length: 1000 }, () => ({ recipient: 'bob', content: 1 }));
        expect((await publish(server.url, batch)).status).toBe(201);
      }
      await until(async () => (await pullAll(server.url, 'bob')).length === 100, 'the purge');
      const connection = await protocol.open(server.url, ['bob'], { cursor: '1' });
      expect(connection.gap).toBe('purged');
      expect(connection.ids).toEqual((await pullAll(server.url, 'bob')).map(({ id }) => id));
      connection.cut();
    });

    test('a device is ended with the service, and goes on with the next one', async () => {
      const server = await Server.start();
      const connection = await protocol.open(server.url, ['bob']);
      await send(server.url, 'bob', 1);
      await connection.waitForMessages(1);
      expect(await server.stop()).toMatchObject({ code: 0, signal: null });
      await expectEnded(protocol, connection, 'shutdown');
      const after = await Server.start({ database: server.database });
      const sent = await send(after.url, 'bob', 2);
      const again = await protocol.open(after.url, ['bob'], { cursor: connection.cursor ?? '' });
      expect([again.gap, again.messages]).toEqual([false, [sent]]);
      again.cut();
    });

    ofStreams(
      'a device that takes nothing costs a bounded buffer, and gets everything when it wakes',
      async (streams) => {
        const server = await Server.start({ tap: false });
        await publishLargely(server, 300, LARGEST);
        const sleepers = await Promise.all(
          Array.from({ length: 20 }, () => streams.stalling(server.port, 'recipient=bob')),
        );
        const quick = await protocol.open(server.url, ['bob']);
        const before = residentBytes(server.pid);
        let most = 0;
        const ids = await publishLargely(server, 1440, LARGEST, async (soFar) => {
          most = Math.max(most, residentBytes(server.pid));
          await quick.waitForMessages(soFar.length);
        });
        expect(most - before).toBeLessThan(150 * MEBIBYTE);
        expect(quick.ids).toEqual(ids);
        const sleeper = sleepers[0] as StallingDevice;
        sleeper.wake();
        await sleeper.waitForMessages(ids.length);
        expect(sleeper.ids).toEqual(ids);
        expect(sleeper.said.map(({ event }) => event)).toEqual(['ready', 'live']);
        for (const one of [...sleepers, quick]) one.cut();
      },
    );

    ofStreams('a device that a purge overtook is ended, and told of its gap when back', async (streams) => {
      const server = await Server.start({ env: { RETENTION_MESSAGES: '100' } });
      const sleeper = await streams.stalling(server.port, 'recipient=bob');
      const presence = async (): Promise<unknown> => (await get(server.url, '/presence?recipient=bob')).body;
      await until(async () => JSON.stringify(await presence()).includes('"devices":1'));
      const ids = await publishLargely(server, 3000, LARGEST.slice(0, 20_000));
      // Else the purge would overtake it once more when it comes back.
      await until(() => readNumber(server.database, 'SELECT count(*) FROM messages') === 100, 'the purge');
      sleeper.wake();
      const bye = await sleeper.waitFor('bye');
      await sleeper.waitForEnd();
      expect(bye.data).toEqual({ type: 'bye', reason: 'too-slow' });
      expect(sleeper.ids.length).toBeGreaterThan(0);
      expect(sleeper.ids).toEqual(ids.slice(0, sleeper.ids.length));
      expect(Number.parseInt(bye.id ?? '')).toBe(sleeper.ids.at(-1));
      const again = await protocol.open(server.url, ['bob'], { cursor: sleeper.cursor ?? '' });
      expect(again.gap).toBe('purged');
      expect(again.ids).toEqual(ids.slice(-again.ids.length));
      again.cut();
    });
  });

  describe('a service with a key', () => {
    const headersOf = async (sub: string, read?: string[], exp = secondsFromNow(600)) =>
      bearer(await tokenFor(sub, { sendTo: ['*'], ...(read === undefined ? {} : { read }) }, { exp }));
    const start = (env: Record<string, string> = {}): Promise<Server> =>
      Server.start({ env: { AUTH_SECRET: SECRET, PUBLISH_RATE: '0', ...env } });
    afterEach(cleanUp);

    test('a device follows the inboxes that its token allows, by default its sub, and no others', async () => {
      const server = await start();
      const [bob, team] = [await headersOf('bob'), await headersOf('bob', ['bob', 'team-*'])];
      const own = await protocol.open(server.url, [], { cursor: '0' }, bob);
      const both = await protocol.open(server.url, ['bob', 'team-1'], { cursor: '0' }, team);
      const sent = (await publish(server.url, { recipient: 'bob', content: 1 }, bob)).body as WireMessage;
      for (const connection of [own, both]) expect(await connection.waitForMessages(1)).toEqual([sent]);
      expectProblem(await protocol.refused(server.url, 'recipient=al', bob), 403, ['/recipient']);
      const two = await protocol.refused(server.url, 'recipient=bob&recipient=team-1', bob);
      expectProblem(two, 403, ['/recipient']);
      expectProblem(await protocol.refused(server.url, 'recipient=*', team), 403, ['/recipient']);
      expectProblem(await protocol.refused(server.url, 'recipient=bob'), 401, []);
      expectProblem(await protocol.refused(server.url, 'recipient=bob', bearer('x.y.z')), 401, []);
      for (const connection of [own, both]) connection.cut();
    });

    test('a device counts as a stream of its client, and one too many is refused with 503 and Retry-After', async () => {
      const server = await start({ MAX_STREAMS_PER_CLIENT: '2' });
      const headers = await headersOf('bob');
      const open = () => protocol.open(server.url, [], { cursor: '0' }, headers);
      const devices = [await open(), await open()];
      const presence = async (): Promise<string> =>
        (await fetch(`${server.url}/presence?recipient=bob`, { headers })).text();
      await until(async () => (await presence()).includes('"devices":2'));
      const refused = await protocol.refused(server.url, '', headers);
      expectProblem(refused, 503, []);
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
      devices[0]?.cut();
      await until(async () => (await presence()).includes('"devices":1'));
      (await protocol.open(server.url, [], {}, headers)).cut();
      devices[1]?.cut();
    });

    ofStreams(
      'a device that cannot see a status is told in band that there are too many streams, and its place',
      async (streams) => {
        const server = await start({ MAX_STREAMS_PER_CLIENT: '1' });
        const headers = await headersOf('bob');
        const first = await protocol.open(server.url, [], {}, headers);
        const inBand = { ...headers, ...streams.inBand };
        const away = await streams.openWith(server.url, '', inBand);
        await away.waitForEnd();
        expect(said(away, 'ready')).toEqual([]);
        expect(said(away, 'bye')).toMatchObject([{ id: '0', data: { type: 'bye', reason: 'over-limit' } }]);
        const retry = away.retries[0] ?? 0;
        expect(retry).toBeGreaterThanOrEqual(5000);
        expect(retry).toBeLessThanOrEqual(15_000);
        // It keeps a cursor that it has.
        const back = await streams.openWith(server.url, 'lastEventId=0', inBand);
        await back.waitForEnd();
        expect(said(back, 'bye')[0]?.id).toBeUndefined();
        first.cut();
      },
    );

    test('a device is ended with its token, and gets nothing afterwards', async () => {
      const server = await start();
      const exp = secondsFromNow(5);
      const headers = await headersOf('bob', undefined, exp);
      const connection = await protocol.open(server.url, [], { cursor: '0' }, headers);
      const backend = await headersOf('backend');
      await publish(server.url, { recipient: 'bob', content: 'before' }, backend);
      await connection.waitForMessages(1);
      await expectEnded(protocol, connection, 'token-expired');
      expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
      await publish(server.url, { recipient: 'bob', content: 'after' }, backend);
      expect(connection.messages).toHaveLength(1);
    });
  });
});

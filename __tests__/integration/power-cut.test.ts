import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { copyDatabase } from '../support/file.ts';
import { pull, pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { isSent, isSync, type SystemCall, TracedServer, tracedTest } from '../support/trace.ts';

afterEach(cleanUp);

const isWal = ({ file }: SystemCall): boolean => file.endsWith('-wal');

/** The sync of the write-ahead log by which a message is on disk: the first after its bytes were written there. */
function syncOf(calls: readonly SystemCall[], marker: string): SystemCall {
  const written = calls.find((call) => isWal(call) && call.name === 'pwrite64' && call.text.includes(marker));
  const sync = calls.find(
    (call) => isWal(call) && isSync(call) && call.began > (written?.returned ?? Infinity),
  );
  if (sync === undefined) throw new Error(`no sync of the write-ahead log after the write of ${marker}`);
  expect(sync.text).toContain('= 0');
  return sync;
}

/** A server that has one message already, with a disk that takes so long before it syncs, and after it again. */
async function startOnSlowDisk(microseconds: number): Promise<TracedServer> {
  const database = join(newFolder(), 'tidings.sqlite');
  const first = await Server.start({ database });
  await send(first.url, 'bob', 'before');
  await first.stop();
  const delay = `delay_enter=${microseconds}:delay_exit=${microseconds}`;
  return TracedServer.start({ database }, ['-e', `inject=fsync,fdatasync:${delay}`]);
}

describe('the disk at the moment of a 201', () => {
  tracedTest('a message is on disk before its 201 is sent, and before any device gets it', async () => {
    const traced = await TracedServer.start({});
    const { server } = traced;
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    const poll = pull(server.url, 'recipient=bob&wait=30');
    await device.waitFor('live');
    const markers = Array.from({ length: 20 }, (_, index) => `<message ${index}>`);
    for (const marker of markers) await send(server.url, 'bob', marker);
    await publish(server.url, [
      { recipient: 'bob', content: '<batch 1>' },
      { recipient: 'bob', content: '<batch 2>' },
    ]);
    await device.waitForMessages(22);
    await poll;
    const calls = await traced.calls();
    for (const marker of [...markers, '<batch 1>', '<batch 2>']) {
      const sync = syncOf(calls, marker);
      const sent = calls.filter((call) => isSent(call, marker));
      // The publisher and the device.
      expect(sent.length).toBeGreaterThanOrEqual(2);
      expect(sent.some(({ text }) => text.includes('HTTP/1.1 201 Created'))).toBe(true);
      for (const { began } of sent) expect(began).toBeGreaterThan(sync.returned);
    }
  });

  tracedTest('many publishes at once take few syncs, and each is on disk before its 201', async () => {
    const traced = await startOnSlowDisk(50_000);
    const { server } = traced;
    await send(server.url, 'bob', '<the first>');
    const markers = Array.from({ length: 300 }, (_, index) => `<message ${index}>`);
    await Promise.all(markers.map((marker) => send(server.url, 'bob', marker)));
    const calls = await traced.calls();
    const lastSent = Math.max(
      ...calls.filter((call) => isSent(call, 'HTTP/1.1 201 Created')).map(({ began }) => began),
    );
    const first = syncOf(calls, '<the first>');
    const syncs = calls.filter(
      (call) => isWal(call) && isSync(call) && call.began > first.began && call.began < lastSent,
    );
    expect(syncs.length).toBeGreaterThan(0);
    expect(syncs.length).toBeLessThan(markers.length / 2);
    for (const marker of markers) {
      const { returned } = syncOf(calls, marker);
      for (const sent of calls.filter((call) => isSent(call, marker))) {
        expect(sent.began).toBeGreaterThan(returned);
      }
    }
  });

  tracedTest('a message is on disk before any stream, list or poll has it, also on a slow disk', async () => {
    const traced = await startOnSlowDisk(200_000);
    const { server } = traced;
    const devices = await Promise.all(
      ['recipient=bob', 'recipient=anonymous&last=1', 'recipient=*'].map((query) =>
        DeviceStream.open(server.url, query),
      ),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const markers: string[] = [];
    const looksFor = (id: number): string[] => [
      '/messages?recipient=bob&after=0',
      '/messages?recipient=bob&before=latest',
      '/messages?between=bob&between=anonymous',
      '/conversations?recipient=bob',
      `/messages/${id}`,
      '/stream?recipient=bob&last=1000',
    ];
    let lookedFor = 0;
    // As many as it takes until six were looked for often enough; of a few the looks may come before the sync begins.
    for (let index = 0; lookedFor < 6; index++) {
      const marker = `<marker ${index}>`;
      markers.push(marker);
      const looks = looksFor(index + 2);
      let looked = 0;
      // The poll is to begin after all that was before.
      await devices[0]?.waitForMessages(index);
      const poll = pull(server.url, `recipient=bob&after=${devices[0]?.cursor}&wait=30`);
      const publisher = { answered: false };
      const sending = send(server.url, 'bob', marker).finally(() => (publisher.answered = true));
      for (; !publisher.answered; looked++) {
        const look = looks[looked % looks.length] ?? '';
        if (look.startsWith('/stream')) {
          const device = await DeviceStream.open(server.url, look.slice('/stream?'.length));
          await device.waitFor('live');
          device.cut();
        } else {
          await get(server.url, look);
        }
      }
      await sending;
      expect((await poll).messages).toHaveLength(1);
      if (looked > 3 * looks.length) lookedFor++;
    }
    await Promise.all(devices.map((device) => device.waitForMessages(markers.length)));
    const calls = await traced.calls();
    const during = markers.map((marker) => {
      const sync = syncOf(calls, marker);
      return calls.filter(
        ({ file, began }) => file.startsWith('socket:') && began > sync.began && began < sync.returned,
      );
    });
    // They were looked for while the disk was at it.
    expect(during.filter((looks) => looks.length > looksFor(0).length).length).toBeGreaterThanOrEqual(3);
    for (const marker of markers) {
      const sync = syncOf(calls, marker);
      const sent = calls.filter((call) => isSent(call, marker));
      expect(sent.length).toBeGreaterThanOrEqual(5);
      for (const { began } of sent) expect(began).toBeGreaterThan(sync.returned);
    }
  });
});

test('a copy of the files at the moment of a 201 has the message', async () => {
  const server = await Server.start();
  const stored: WireMessage[] = [];
  for (let round = 0; round < 5; round++) {
    const batch = Array.from({ length: round * 10 + 1 }, (_, index) => ({
      recipient: 'bob',
      content: `${round}/${index}`,
    }));
    const answer = await publish(server.url, batch);
    await server.freeze();
    expect(answer.status).toBe(201);
    stored.push(...(answer.body as WireMessage[]));
    const image = join(newFolder(), 'image.sqlite');
    copyDatabase(server.database, image);
    server.signal('SIGCONT');
    const copy = await Server.start({ database: image });
    expect(await pullAll(copy.url, 'bob')).toEqual(stored);
    await copy.stop();
  }
});

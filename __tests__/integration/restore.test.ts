import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { publish, send, type WireMessage } from '../support/api.ts';
import { copyDatabase } from '../support/file.ts';
import { headCursor, liveOf, pull } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

afterEach(cleanUp);

/** Returns the answer to a device that comes back with a cursor: by a stream, and the same by a poll. */
async function comeBack(
  server: Server,
  cursor: string,
): Promise<{ gap: unknown; messages: readonly WireMessage[]; cursor: string }> {
  const device = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: cursor });
  const { cursor: end, replayed } = await liveOf(device);
  device.cut();
  const came = { gap: device.gap, messages: device.messages, cursor: end };
  expect(replayed).toBe(came.messages.length);
  const pulled = await pull(server.url, `recipient=bob&after=${cursor}&limit=1000`);
  expect(pulled).toEqual({ ...came, more: false });
  return came;
}

/** Publishes in one batch. */
async function sendAll(server: Server, contents: readonly string[]): Promise<WireMessage[]> {
  const batch = contents.map((content) => ({ recipient: 'bob', content }));
  return (await publish(server.url, batch)).body as WireMessage[];
}

test('a restored backup is told to every device that had seen more, and to no other', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  const backup = join(newFolder(), 'backup.sqlite');
  let server = await Server.start({ database });
  const kept = await sendAll(server, ['1', '2', '3', '4', '5']);
  const third = `3-${(await headCursor(server.url)).split('-')[1]}`;
  const fifth = await headCursor(server.url);
  await server.stop();
  copyDatabase(database, backup);

  server = await Server.start({ database });
  const lost = await sendAll(server, ['6', '7', '8', '9', '10']);
  expect(lost.map(({ id }) => id)).toEqual([6, 7, 8, 9, 10]);
  const tenth = await headCursor(server.url);
  const eighth = tenth.replace('10-', '8-');
  const all = [...kept, ...lost];
  expect(await comeBack(server, fifth)).toEqual({ gap: false, messages: lost, cursor: tenth });
  await server.stop();

  // A restart alone restores nothing: all cursors of earlier runs are good.
  server = await Server.start({ database });
  expect(await comeBack(server, tenth)).toEqual({ gap: false, messages: [], cursor: tenth });
  expect(await comeBack(server, eighth)).toMatchObject({ gap: false, messages: all.slice(8) });
  expect(await comeBack(server, third)).toMatchObject({ gap: false, messages: all.slice(3) });
  await server.kill();

  copyDatabase(backup, database);
  server = await Server.start({ database });
  for (const ahead of [tenth, eighth]) {
    expect(await comeBack(server, ahead)).toEqual({ gap: 'restored', messages: kept, cursor: fifth });
  }
  expect(await comeBack(server, fifth)).toEqual({ gap: false, messages: [], cursor: fifth });
  expect(await comeBack(server, third)).toEqual({ gap: false, messages: kept.slice(3), cursor: fifth });
  // A bare number can only be told from the log by being ahead of it.
  expect(await comeBack(server, '10')).toMatchObject({ gap: 'restored', messages: kept });

  // The ids of what was lost are given again, under another tag.
  const anew = await sendAll(server, ['6 anew', '7 anew', '8 anew', '9 anew', '10 anew', '11 anew']);
  expect(anew.map(({ id }) => id)).toEqual([6, 7, 8, 9, 10, 11]);
  const eleventh = await headCursor(server.url);
  expect(eleventh).not.toContain(tenth.split('-')[1]);
  const held = [...kept, ...anew];
  for (let round = 0; round < 2; round++) {
    for (const ahead of [tenth, eighth]) {
      expect(await comeBack(server, ahead)).toEqual({ gap: 'restored', messages: held, cursor: eleventh });
    }
    expect(await comeBack(server, fifth)).toEqual({ gap: false, messages: anew, cursor: eleventh });
    expect(await comeBack(server, eleventh)).toEqual({ gap: false, messages: [], cursor: eleventh });
    // Nor does a start after it, however the run before ended, forget any of this.
    await server.kill();
    server = await Server.start({ database });
  }
});

test('a cursor of another log is told as restored, and a text that is no cursor as unknown', async () => {
  const other = await Server.start();
  await send(other.url, 'bob', 'elsewhere');
  const foreign = await headCursor(other.url);
  const server = await Server.start();
  expect(await comeBack(server, foreign)).toEqual({ gap: 'restored', messages: [], cursor: '0' });
  const messages = await sendAll(server, ['1', '2']);
  const cursor = await headCursor(server.url);
  expect(await comeBack(server, foreign)).toEqual({ gap: 'restored', messages, cursor });
  expect(await comeBack(server, '0')).toEqual({ gap: false, messages, cursor });
  expect(await comeBack(server, '1')).toEqual({ gap: false, messages: messages.slice(1), cursor });
  for (const none of ['latest', '-1', '1.5', `${cursor}-`, '99999999999999999']) {
    expect(await comeBack(server, none)).toEqual({ gap: 'unknown', messages, cursor });
  }
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

describe('delivery', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(cleanUp);

  test("a message reaches every device of its recipient and the sender's other devices, with the same frame", async () => {
    const devices = await Promise.all(
      ['bob', 'bob', 'alice'].map((recipient) => DeviceStream.open(server.url, `recipient=${recipient}`)),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const sent = await send(server.url, 'bob', 'hi', { sender: 'alice' });
    for (const device of devices) {
      expect(await device.waitForMessages(1)).toEqual([sent]);
      expect(device.raw).toContain(`data: ${JSON.stringify(sent)}\nid: ${sent.id}-`);
    }
  });

  test('a device that comes back gets exactly what it missed', async () => {
    const first = await DeviceStream.open(server.url, 'recipient=carol');
    await first.waitFor('live');
    await send(server.url, 'carol', 1);
    await first.waitForMessages(1);
    first.cut();
    const missed = [await send(server.url, 'carol', 2), await send(server.url, 'carol', 3)];
    const again = await DeviceStream.open(server.url, 'recipient=carol', { lastEventId: first.cursor ?? '' });
    await again.waitFor('live');
    expect(again.messages).toEqual(missed);
    expect(again.find('ready')?.data).toMatchObject({ cursor: first.cursor, gap: false });
    expect(again.find('live')?.data).toMatchObject({ replayed: 2 });
  });

  test('a message to oneself, or to two inboxes of one stream, comes once', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=dora&recipient=emil');
    await device.waitFor('live');
    const sent = [
      await send(server.url, 'dora', 'note', { sender: 'dora' }),
      await send(server.url, 'emil', 'both', { sender: 'dora' }),
      // The next message shows that nothing else came.
      await send(server.url, 'dora', 'last'),
    ];
    await device.waitForMessages(3);
    expect(device.messages).toEqual(sent);
  });
});

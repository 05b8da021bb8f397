import { afterEach, expect } from '@jest/globals';
import { publish } from '../support/api.ts';
import { cleanUp } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { isSent, isSync, TracedServer, tracedTest } from '../support/trace.ts';

afterEach(cleanUp);

const DEVICES = 20;
const MESSAGES = 10;

tracedTest(
  'a commit costs one sync of the disk, and one write to each device, however many messages it has',
  async () => {
    const traced = await TracedServer.start({});
    const { url } = traced.server;
    // The first message of a run writes down more than itself.
    await publish(url, { recipient: 'bob', content: 'the first' });
    const devices = await Promise.all(
      Array.from({ length: DEVICES }, () => DeviceStream.open(url, 'recipient=bob')),
    );
    await Promise.all(devices.map((device) => device.waitFor('live')));
    const contents = Array.from({ length: MESSAGES }, (_, index) => `<message ${index}>`);
    await publish(
      url,
      contents.map((content) => ({ recipient: 'bob', content })),
    );
    await Promise.all(devices.map((device) => device.waitForMessages(MESSAGES)));
    const calls = await traced.calls();

    const carries = contents.map((content) => calls.filter((call) => isSent(call, content)));
    const toDevices = carries.map((sent) => sent.filter(({ text }) => !text.includes('HTTP/1.1')));
    expect(toDevices[0]).toHaveLength(DEVICES);
    for (const sent of toDevices) expect(sent).toEqual(toDevices[0]);
    expect(new Set(toDevices[0]?.map(({ file }) => file)).size).toBe(DEVICES);

    const written = calls.find(
      ({ name, text }) => name === 'pwrite64' && contents.some((one) => text.includes(one)),
    );
    const answered = calls.find((call) => isSent(call, 'HTTP/1.1 201') && isSent(call, '<message 0>'));
    const sync = calls.find((call) => isSync(call) && call.began > (written?.began ?? Infinity));
    // The writer's word that it is done: what that thread syncs from there on is upkeep, which a second may bring at once.
    const done = calls.find(
      ({ thread, file, name, began }) =>
        thread === sync?.thread && name === 'write' && file.includes('eventfd') && began > sync.returned,
    );
    expect(done?.began).toBeLessThan(answered?.began ?? 0);
    const syncs = calls.filter(
      (call) => isSync(call) && call.began > (written?.began ?? 0) && call.began < (done?.began ?? 0),
    );
    expect(syncs.map(({ file }) => file.replace(/.*\./, ''))).toEqual(['sqlite-wal']);
  },
);

import { expect, test } from '@jest/globals';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { JetStreamEntries } from '../../src/cluster/entry-stream.ts';

/** A stream with one entry, as the client of NATS gives it by each of its ways. */
function streamWith(nanoseconds: bigint, iso: string): JetStreamEntries {
  const data = new Uint8Array();
  const message = {
    seq: 7,
    data,
    timestampNanos: nanoseconds,
    info: { timestampNanos: Number(nanoseconds) },
  };
  const messages = { stop: () => undefined, [Symbol.iterator]: () => [message].values() };
  const manager = {
    consumers: { add: () => Promise.resolve({ name: 'c' }), delete: () => Promise.resolve(true) },
    streams: { getMessage: () => Promise.resolve({ seq: 7, data, time: new Date(iso) }) },
  } as unknown as JetStreamManager;
  const client = {
    consumers: { getConsumerFromInfo: () => ({ fetch: () => Promise.resolve(messages) }) },
  } as unknown as JetStreamClient;
  return new JetStreamEntries({ client, manager, prefix: 'tidings', generation: 1, maxPayload: 1024 * 1024 });
}

test.each([
  [1795961478627999999n, '2026-11-29T14:11:18.627999999Z', 1795961478627],
  [1795961478627000000n, '2026-11-29T14:11:18.627Z', 1795961478627],
  [1795961478627999900n, '2026-11-29T14:11:18.6279999Z', 1795961478627],
])('an entry has the same time whether it is read or looked at (%d ns)', async (nanoseconds, iso, time) => {
  const stream = streamWith(nanoseconds, iso);
  expect((await stream.entry(7))?.time).toBe(time);
  for await (const entry of stream.read(6, new AbortController().signal)) {
    expect(entry).toMatchObject({ sequence: 7, time });
    break;
  }
  expect.assertions(2);
});

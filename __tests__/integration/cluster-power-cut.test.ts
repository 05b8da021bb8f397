/** The disks of a cluster at the moment when a publish is answered: which of them have the message. */
import { join } from 'node:path';
import { afterEach, expect } from '@jest/globals';
import { publish, send } from '../support/api.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { describeNats, NatsServers } from '../support/nats.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import {
  isSent,
  isSync,
  readTrace,
  type SystemCall,
  TracedServer,
  tracedTest,
  traceTo,
} from '../support/trace.ts';

afterEach(cleanUp);

const isWritten = ({ name }: SystemCall): boolean => name === 'write' || name === 'pwrite64';

/** Returns when a text was first on a disk, in seconds: a file was written with it, and then flushed; else Infinity. */
function flushedAt(calls: readonly SystemCall[], text: string): number {
  const written = calls.filter(
    (call) => call.file.startsWith('/') && isWritten(call) && call.text.includes(text),
  );
  const flushes = written.map(({ file, returned }) =>
    calls.find((call) => call.file === file && isSync(call) && call.began > returned),
  );
  return Math.min(...flushes.map((flush) => flush?.returnedAt ?? Infinity));
}

/** Publishes on one node. @returns for each message how many servers, and whether the node, had it on disk before the answer */
async function diskOfEach(jetstream: Record<string, unknown>): Promise<{ servers: number; node: boolean }[]> {
  const traces = [0, 1, 2].map((index) => join(newFolder(), `trace-${index}`));
  const servers = await NatsServers.start(3, (index) => ({
    wrapper: traceTo(traces[index] ?? ''),
    config: { jetstream: { store_dir: newFolder(), ...jetstream } },
  }));
  const cluster = new TestCluster(servers, 'power');
  await cluster.done(['init']);
  const traced = await TracedServer.start(cluster.options({}));
  const { url } = traced.server;
  const markers = Array.from({ length: 10 }, (_, index) => `<message ${index}>`);
  for (const marker of markers) await send(url, 'bob', marker);
  await publish(url, [
    { recipient: 'bob', content: '<batch 1>' },
    { recipient: 'bob', content: '<batch 2>' },
  ]);
  const node = await traced.calls();
  for (const index of traces.keys()) await servers.stop(index);
  const ofServers = traces.map(readTrace);
  return [...markers, '<batch 1>', '<batch 2>'].map((marker) => {
    const answers = node.filter((call) => isSent(call, marker) && call.text.includes('201 Created'));
    const answeredAt = answers[0]?.beganAt ?? -Infinity;
    const isBefore = (calls: readonly SystemCall[]): boolean => flushedAt(calls, marker) < answeredAt;
    return { servers: ofServers.filter(isBefore).length, node: isBefore(node) };
  });
}

describeNats('a message of a cluster', () => {
  tracedTest(
    'a message is on the disks of two NATS servers, and of the node that answers, before its 201 is sent',
    async () => {
      for (const { servers, node } of await diskOfEach({ sync_interval: 'always' })) {
        expect(servers).toBeGreaterThanOrEqual(2);
        expect(node).toBe(true);
      }
    },
  );

  tracedTest(
    'a message is on the disk of no NATS server before its 201 is sent if the servers do not flush each message',
    async () => {
      for (const { servers, node } of await diskOfEach({ sync_interval: '2m' })) {
        expect(servers).toBe(0);
        expect(node).toBe(true);
      }
    },
  );
});

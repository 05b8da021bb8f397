/** The stream of entries in real NATS servers. */
import { afterEach, expect } from '@jest/globals';
import { connectJetStream, type JetStreamLink } from '../../src/cluster/jetstream-link.ts';
import { JetStreamEntries } from '../../src/cluster/entry-stream.ts';
import { makeGeneration } from '../../src/cluster/generation.ts';
import { streamName } from '../../src/cluster/names.ts';
import { NatsServers, natsTest } from '../support/nats.ts';
import { KeptLog, natsConfigOf } from '../support/nats-link.ts';
import { cleanUp, undoAtEnd } from '../support/server.ts';

afterEach(cleanUp);

const PREFIX = 'read';

interface Opened {
  readonly servers: NatsServers;
  readonly connected: JetStreamLink;
  readonly stream: JetStreamEntries;
}

/** Makes a stream without entries, in servers that take messages of this size. */
async function newStream(count: 1 | 3, maxPayload: number): Promise<Opened> {
  const servers = await NatsServers.start(count, { config: { max_payload: maxPayload } });
  const config = natsConfigOf({ NATS_URL: servers.url });
  const { signal } = new AbortController();
  const connected = await connectJetStream({ config, logger: new KeptLog().logger, signal });
  if (connected === undefined) throw new Error('there is no connection');
  undoAtEnd(() => connected.link.close());
  const generation = { prefix: PREFIX, logId: 'log', generation: 1, replicas: count };
  await makeGeneration(connected, generation, 'test', []);
  return { servers, connected, stream: new JetStreamEntries({ ...connected, ...generation, maxPayload }) };
}

/** Reads the first entries of a stream without a second beginning, and returns their sequences. */
async function readOnce(stream: JetStreamEntries, count: number): Promise<number[]> {
  const sequences: number[] = [];
  for await (const { sequence } of stream.read(0, new AbortController().signal)) {
    if (sequences.push(sequence) === count) break;
  }
  return sequences;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

natsTest(
  'the reading of a stream goes on when one pull has got all the entries that it asked for',
  async () => {
    const { stream } = await newStream(1, 1_000_000);
    for (const sequence of upTo(350)) await stream.append(new Uint8Array(100), `id-${sequence}`);
    expect(await readOnce(stream, 350)).toEqual(upTo(350));
  },
);

natsTest('the reading of a stream goes on when the next entry does not fit into a pull', async () => {
  const { stream } = await newStream(1, 8 * 1024 * 1024);
  const large = new Uint8Array(6 * 1024 * 1024);
  for (const sequence of upTo(6)) await stream.append(large, `id-${sequence}`);
  expect(await readOnce(stream, 6)).toEqual(upTo(6));
});

natsTest(
  'the reading of a stream ends when the server of this node is killed, which has its consumer',
  async () => {
    const { servers, connected, stream } = await newStream(3, 1_000_000);
    await stream.append(new Uint8Array(100), 'id-1');
    const own = connected.link.connection.info?.server_name;
    const closing = new AbortController();
    // JetStream chooses one of the servers for each consumer, and may not have one ready at once.
    for (let isThere = false; !isThere;) {
      const reading = stream.read(0, closing.signal);
      const first = await reading.next().catch(() => undefined);
      if (first === undefined) continue;
      expect(first.done).toBe(false);
      const consumers = await connected.manager.consumers.list(streamName(PREFIX, 1)).next();
      isThere = consumers.some(({ cluster }) => cluster?.leader === own);
      if (!isThere) await reading.return(undefined);
      else {
        await servers.servers.find(({ name }) => name === own)?.kill();
        await expect(reading.next()).rejects.toThrow();
      }
    }
  },
);

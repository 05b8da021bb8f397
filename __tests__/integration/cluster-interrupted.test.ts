/** The beginning of a cluster and its reseed, stopped after each of their requests to NATS, and by kill -9. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Catalogue, type LogRecord } from '../../src/cluster/catalogue.ts';
import { reseed } from '../../src/cluster/reseed.ts';
import { isSnapshotThere } from '../../src/cluster/snapshot.ts';
import { lookAtReplica } from '../../src/log/replica/replica-file.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { databaseOfOne, type ClusterParts, initWith, openParts } from '../support/cluster-parts.ts';
import { copyDatabase } from '../support/file.ts';
import { describeNats, NatsServers, natsTest } from '../support/nats.ts';
import { positionOf, untilEqual } from '../support/position.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';

const killer = pathToFileURL(join(import.meta.dirname, '../support/kill-at-request.js')).href;

/** So many operations go on at the same time: they mostly wait for disks. */
const AT_ONCE = 3;

describeNats('an operation on a cluster', () => {
  let servers: NatsServers;
  let original: string;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    original = await databaseOfOne();
  });
  afterAll(cleanUp);

  /** Opens the parts for an operation. After so many requests none is answered any more, and the promise `killed` settles. */
  async function openUntil(stream: string, requests: number) {
    const parts = await openParts(servers, stream);
    const ending = new AbortController();
    const { connection } = parts.connected.link;
    const request = connection.request.bind(connection);
    let left = requests;
    let kill = (): void => undefined;
    const killed = new Promise<undefined>((resolve) => (kill = () => resolve(undefined)));
    connection.request = async (...given) => {
      if (left >= 0) left--;
      const answer = left < -1 ? undefined : await request(...given);
      if (left >= 0 && answer !== undefined) return answer;
      left = -2;
      kill();
      // The process of a snapshot ends with the one that has started it.
      ending.abort();
      return new Promise<never>(() => undefined);
    };
    return { parts: { ...parts, signal: ending.signal }, killed };
  }

  /**
   * Runs an operation again and again: each time its process stops one request later, until it comes to its end, and then it
   * is repeated.
   *
   * @returns how often it was interrupted
   */
  async function interrupt(
    name: string,
    prepare: (stream: string, file: string) => Promise<void>,
    run: (parts: ClusterParts, file: string) => Promise<LogRecord>,
    check: (record: LogRecord, file: string) => void,
  ): Promise<number> {
    let next = 0;
    let interrupted = 0;
    let isWhole = false;
    const one = async (requests: number): Promise<void> => {
      const stream = `${name}${requests}`;
      const file = join(newFolder(), 'tidings.sqlite');
      await prepare(stream, file);
      const { parts, killed } = await openUntil(stream, requests);
      const record = await Promise.race([run(parts, file), killed]);
      await parts.connected.link.close();
      if (record === undefined) interrupted++;
      else isWhole = true;
      const second = await openParts(servers, stream);
      const again = await run(second, file);
      check(again, file);
      const catalogue = await Catalogue.open(second.connected.client, stream);
      expect(await catalogue.log()).toEqual(again);
      const { snapshots } = await catalogue.snapshots();
      const [newest] = snapshots;
      const { logId, generation } = again;
      expect(newest).toMatchObject({ logId, generation, sequence: 0, head: 1 });
      if (newest !== undefined) expect(await isSnapshotThere({ ...second, catalogue }, newest)).toBe(true);
      await second.connected.link.close();
    };
    const work = async (): Promise<void> => {
      while (!isWhole) await one(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return interrupted;
  }

  natsTest('cluster init can be repeated after it was stopped at any of its requests', async () => {
    const times = await interrupt(
      'init',
      (_stream, file) => {
        copyDatabase(original, file);
        return Promise.resolve();
      },
      initWith,
      ({ logId }, file) => {
        expect(positionOf(file)).toMatchObject({ logId, generation: 1, sequence: 0, head: 1 });
      },
    );
    expect(times).toBeGreaterThan(8);
  });

  natsTest('cluster reseed can be repeated after it was stopped at any of its requests', async () => {
    const before = new Map<string, LogRecord>();
    const times = await interrupt(
      'again',
      async (stream, file) => {
        copyDatabase(original, file);
        const parts = await openParts(servers, stream);
        before.set(file, await initWith(parts, file));
        await parts.connected.link.close();
      },
      async (parts, file) => {
        const catalogue = await Catalogue.open(parts.connected.client, parts.nats.stream);
        const record = (await catalogue.log()) as LogRecord;
        const state = lookAtReplica(file);
        if (state === undefined) throw new Error('the database is gone');
        return reseed({ ...parts, catalogue }, { file, state, record, replicas: 1 });
      },
      (after, file) =>
        expect(after).toEqual({ ...before.get(file), generation: 2, branch: { sequence: 0, digest: '' } }),
    );
    expect(times).toBeGreaterThan(8);
  });

  /** Repeats a command that is killed two messages later each time, until it comes to its end. @returns how often it was killed */
  async function killAgain(cluster: TestCluster, database: string, args: string[]): Promise<number> {
    for (let times = 0; ; times++) {
      const nodeArgs = ['--import', `${killer}?${2 * times + 1}`];
      const options = { args: ['cluster', ...args], database, nodeArgs, tap: false };
      const { code, signal, stderr } = await Server.run(cluster.options(options));
      if (code === 0) return times;
      // The process of a snapshot may hold its lock for a moment after the one that has started it was killed.
      if (signal === null) expect(stderr).toMatch(/is already being made/);
      else expect(signal).toBe('SIGKILL');
    }
  }

  natsTest('cluster init and cluster reseed can be repeated after any number of kill -9', async () => {
    const cluster = new TestCluster(servers, 'killed');
    const database = join(newFolder(), 'tidings.sqlite');
    copyDatabase(original, database);
    const { logId } = positionOf(database);
    expect(await killAgain(cluster, database, ['init', '--replicas', '1'])).toBeGreaterThan(4);
    expect(positionOf(database)).toMatchObject({ logId, generation: 1, sequence: 0, head: 1 });
    expect(await killAgain(cluster, database, ['reseed', '--yes'])).toBeGreaterThan(4);
    const [node, other] = [await cluster.node({ database }), await cluster.node()];
    for (const { url } of [node, other]) expect((await pullAll(url, 'bob')).map(({ id }) => id)).toEqual([1]);
    await untilEqual([node.database, other.database]);
    expect(positionOf(other.database)).toMatchObject({ logId, generation: 2, head: 1 });
    for (const each of [node, other]) expect((await each.stop()).code).toBe(0);
  });
});

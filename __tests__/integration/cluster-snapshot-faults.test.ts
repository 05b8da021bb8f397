/** Snapshots on full disks, and snapshots that are damaged or of a newer version. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Catalogue } from '../../src/cluster/catalogue.ts';
import { snapshotBucket } from '../../src/cluster/names.ts';
import type { Snapshot } from '../../src/cluster/snapshot-list.ts';
import { lockDatabase } from '../../src/log/replica/lock.ts';
import { send } from '../support/api.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { openParts } from '../support/cluster-parts.ts';
import { withDatabase } from '../support/file.ts';
import { describeNats, NatsServers, natsTest } from '../support/nats.ts';
import { positionOf } from '../support/position.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';

const MEBIBYTE = 1024 * 1024;

/** The files of joining and copying beside a database. */
const leftovers = (database: string): string[] =>
  readdirSync(dirname(database)).filter((name) => /joining|before|snapshot(-journal)?$/.test(name));

describeNats('a snapshot', () => {
  let servers: NatsServers;
  let cluster: TestCluster;
  let catalogue: Catalogue;
  let manager: Awaited<ReturnType<typeof openParts>>['connected']['manager'];
  let large: string;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    cluster = new TestCluster(servers, 'faults');
    await cluster.done(['init', '--replicas', '1']);
    const { connected } = await openParts(servers, 'faults');
    manager = connected.manager;
    catalogue = await Catalogue.open(connected.client, 'faults');
    const node = await cluster.node();
    await send(node.url, 'bob', 'kept');
    await node.stop();
    large = node.database;
    withDatabase(large, (database) => {
      database.exec('CREATE TABLE filler (bytes)');
      const insert = database.prepare('INSERT INTO filler VALUES (randomblob(1000000))');
      for (let row = 0; row < 24; row++) insert.run();
    });
    await cluster.done(['snapshot'], large);
  });
  afterAll(cleanUp);

  const bucketOf = ({ id }: Snapshot): string => `OBJ_${snapshotBucket('faults', id)}`;

  /** Has NATS lose one message in the middle of a snapshot. */
  async function loseAPart(snapshot: Snapshot): Promise<void> {
    const bucket = bucketOf(snapshot);
    const { state } = await manager.streams.info(bucket);
    const { first_seq: first, last_seq: last, num_deleted: lost } = state;
    if (lost > 0) return;
    await manager.streams.deleteMessage(bucket, Math.floor((first + last) / 2));
  }

  /** Has the catalogue say something else of the newest snapshot while a function runs. */
  async function withClaim(claim: Partial<Snapshot>, run: () => Promise<void>): Promise<void> {
    const before = await catalogue.snapshots();
    await catalogue.changeSnapshots((list) => ({
      ...list,
      snapshots: list.snapshots.map((snapshot, index) =>
        index === 0 ? { ...snapshot, ...claim } : snapshot,
      ),
    }));
    try {
      await run();
    } finally {
      await catalogue.changeSnapshots(() => before);
    }
  }

  /** Starts a node without a database, which is refused and leaves nothing. @returns the line that it prints */
  async function refusal(database?: string): Promise<string> {
    const options = database === undefined ? {} : { database };
    const node = Server.launch(cluster.options(options));
    const { code, stderr } = await node.ended;
    expect([code, existsSync(node.database), leftovers(node.database)]).toEqual([1, false, []]);
    return stderr.split('\n').find((line) => line.startsWith('tidings: ')) ?? stderr;
  }

  natsTest(
    'a node rejects a snapshot of a newer schema, or one that differs from the catalogue',
    async () => {
      await withClaim({ schema: 999 }, async () => {
        expect(await refusal()).toMatch(
          /has schema version 999; this version of Tidings knows up to \d+\. Start the/,
        );
      });
      await withClaim({ sequence: 77 }, async () => {
        expect(await refusal()).toMatch(
          /is not what the catalogue says: run `cluster snapshot` on another node/,
        );
      });
      await withClaim({ sha256: 'other' }, async () => {
        expect(await refusal()).toMatch(/NATS returns different bytes from those uploaded\. Start again; if/);
      });
    },
  );

  diskTest(
    'a snapshot without room on the disk of a joining node leaves nothing there, and is taken when there is room',
    async () => {
      const disk = new SmallDisk(80);
      writeFileSync(`${disk.folder}/other`, Buffer.alloc(50 * MEBIBYTE));
      expect(await refusal(disk.database)).toMatch(
        /has no room for the snapshot: [\d.]+ [KM]iB are missing. Make room/,
      );
      const roomy = new SmallDisk(80);
      const joining = refusal(roomy.database);
      await until(() => existsSync(`${roomy.database}-joining`), 'the download');
      roomy.fill();
      expect(await joining).toMatch(/cannot be used: its disk is full \(.*ENOSPC.*\): make room there/);
      roomy.makeRoom();
      const node = await cluster.node({ database: roomy.database });
      await until(async () => (await pullAll(node.url, 'bob')).length === 1, 'the message');
      expect(leftovers(node.database)).toEqual([]);
      await node.stop();
    },
  );

  diskTest(
    'a snapshot that fills the disk while it is made is given up: its copy goes, and the log goes on',
    async () => {
      const disk = new SmallDisk(96);
      const node = await cluster.node({ database: disk.database });
      const before = await catalogue.snapshots();
      const making = cluster.command(['snapshot'], disk.database);
      await until(() => existsSync(`${disk.database}-snapshot`), 'the copy');
      disk.fill();
      const { code, stderr } = await making;
      expect([code, stderr]).toEqual([1, expect.stringMatching(/its disk is full.*Repeat it/)]);
      expect(leftovers(disk.database)).toEqual([]);
      disk.makeRoom();
      expect(await catalogue.snapshots()).toEqual(before);
      await until(async () => (await fetch(`${node.url}/readyz`)).status === 200, 'the node to be ready');
      await send(node.url, 'carol', 'added');
      expect(await cluster.done(['snapshot'], disk.database)).toContain('was made of entry');
      await node.stop();
    },
  );

  natsTest(
    'a node that starts keeps the copy that another process makes, and removes the copy of a killed process',
    async () => {
      const copy = `${large}-snapshot`;
      writeFileSync(copy, 'copy');
      const lock = lockDatabase(copy);
      const node = await cluster.node({ database: large });
      expect(existsSync(copy)).toBe(true);
      await node.stop();
      lock.release();
      const again = await cluster.node({ database: large });
      expect(existsSync(copy)).toBe(false);
      await again.stop();
    },
  );

  natsTest(
    'a node downloads a snapshot to its end though its NATS server is killed and started again meanwhile',
    async () => {
      const node = Server.launch(cluster.options({}));
      const file = `${node.database}-joining`;
      await until(() => existsSync(file) && statSync(file).size > 0, 'the download');
      await servers.kill(0);
      const part = statSync(file).size;
      expect(part).toBeLessThan(24 * MEBIBYTE);
      await servers.restart(0);
      await until(() => node.stdout.includes('listens on'), 'the node to listen');
      await until(async () => (await pullAll(node.url, 'bob')).length > 0, 'the message');
      await node.stop();
    },
  );

  natsTest(
    'a node takes an older whole snapshot, with a warning, if NATS has lost a part of the newest',
    async () => {
      await cluster.done(['snapshot'], large);
      const [damaged, older] = (await catalogue.snapshots()).snapshots as [Snapshot, Snapshot];
      await loseAPart(damaged);
      const node = await cluster.node();
      await until(async () => (await pullAll(node.url, 'bob')).length > 0, 'the message');
      const warning = new RegExp(
        `"snapshot":"${damaged.id}","why":"[^"]*NATS has lost a part of it.*"older":"${older.id}"`,
      );
      await until(() => warning.test(node.stderr), 'the warning');
      expect(leftovers(node.database)).toEqual([]);
      await node.stop();
    },
  );

  natsTest(
    'a node rejects a snapshot if NATS has lost a part of it, and keeps its older database',
    async () => {
      const { snapshots } = await catalogue.snapshots();
      for (const snapshot of snapshots) await loseAPart(snapshot);
      expect(await refusal()).toMatch(
        /cannot be used: NATS has lost a part of it.*run `cluster snapshot` on another/,
      );
      const { sequence, head } = positionOf(large);
      await manager.streams.purge('faults-1', { seq: (sequence ?? 0) + 2 });
      await withClaim({ sequence: (sequence ?? 0) + 2 }, async () => {
        const stale = await Server.run(cluster.options({ database: large }));
        expect([stale.code, stale.stderr]).toEqual([1, expect.stringMatching(/NATS has lost a part of it/)]);
      });
      expect([positionOf(large), leftovers(large)]).toEqual([
        expect.objectContaining({ sequence, head }),
        [],
      ]);
    },
  );
});

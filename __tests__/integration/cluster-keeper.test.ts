/** The node that holds the lease makes snapshots and trims the stream: its keeper, with real servers of NATS. */
import { afterAll, beforeAll, expect, jest } from '@jest/globals';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Catalogue, type LogRecord } from '../../src/cluster/catalogue.ts';
import { snapshotBucket } from '../../src/cluster/names.ts';
import { SnapshotKeeper, type SnapshotKeeperOptions } from '../../src/cluster/snapshot-keeper.ts';
import { withoutTransfer, withTransfer } from '../../src/cluster/snapshot-list.ts';
import {
  databaseOfOne,
  type ClusterParts,
  initWith,
  openParts,
  SNAPSHOT_PROGRAM,
} from '../support/cluster-parts.ts';
import { copyDatabase, withDatabase } from '../support/file.ts';
import { describeNats, NatsServers, natsTest } from '../support/nats.ts';
import { cleanUp, newFolder } from '../support/server.ts';

const HOUR = 3_600_000;
const ENTRIES = 50;

/** A log of which a test says who holds the lease, what time it is, and how far the nodes are. */
class KeptLog {
  readonly parts: ClusterParts;
  readonly catalogue: Catalogue;
  readonly record: LogRecord;
  readonly file: string;
  readonly options: SnapshotKeeperOptions;
  readonly keeper: SnapshotKeeper;
  hours = 0;
  isHolder = true;
  positions: readonly number[] | undefined;
  program = SNAPSHOT_PROGRAM;

  constructor(parts: ClusterParts, catalogue: Catalogue, record: LogRecord, file: string) {
    this.parts = parts;
    this.catalogue = catalogue;
    this.record = record;
    this.file = file;
    const program = (): URL => this.program;
    const surroundings = {
      ...parts,
      catalogue,
      get program() {
        return program();
      },
    };
    this.options = {
      ...{ surroundings, record, database: file },
      isHolder: () => this.isHolder,
      head: () => 1,
      positions: () => this.positions,
      now: async () => (await catalogue.now()) + this.hours * HOUR,
    };
    this.keeper = new SnapshotKeeper(this.options);
  }

  /** Opens a log whose stream has some entries. */
  static async open(servers: NatsServers, stream: string, original: string): Promise<KeptLog> {
    const file = join(newFolder(), 'tidings.sqlite');
    copyDatabase(original, file);
    const parts = await openParts(servers, stream);
    const record = await initWith(parts, file);
    const { client } = parts.connected;
    for (let entry = 0; entry < ENTRIES; entry++) await client.publish(`${stream}.1.entries`, 'no entry');
    return new KeptLog(parts, await Catalogue.open(client, stream), record, file);
  }

  /** Has the replica stand after an entry. */
  moveTo(sequence: number): void {
    withDatabase(this.file, (database) => database.exec(`UPDATE position SET sequence = ${sequence}`));
  }

  async sequences(): Promise<number[]> {
    return (await this.catalogue.snapshots()).snapshots.map(({ sequence }) => sequence);
  }

  async firstEntry(): Promise<number> {
    const { manager } = this.parts.connected;
    return (await manager.streams.info(`${this.parts.nats.stream}-1`)).state.first_seq;
  }

  /** Keeps, and returns the sequences of the snapshots, the newest first, and the first entry that is left. */
  async keep(): Promise<[number[], number]> {
    await this.keeper.keep();
    return [await this.sequences(), await this.firstEntry()];
  }

  /** The ids of the snapshots whose buckets are there. */
  async buckets(): Promise<string[]> {
    const prefix = `OBJ_${snapshotBucket(this.parts.nats.stream, '')}`;
    const names: string[] = [];
    for await (const name of this.parts.connected.manager.streams.names()) names.push(name);
    return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  said(level: number): string[] {
    return this.parts.lines
      .filter((line) => line.level === level)
      .map(({ msg, why = '' }) => `${msg} ${why}`);
  }
}

describeNats('the keeper of snapshots', () => {
  let servers: NatsServers;
  let original: string;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    original = await databaseOfOne();
  });
  afterAll(cleanUp);

  natsTest(
    'the keeper makes a snapshot when one is due, and trims only entries that no node, snapshot or download needs',
    async () => {
      const log = await KeptLog.open(servers, 'kept', original);
      const { catalogue } = log;
      const [first] = (await catalogue.snapshots()).snapshots;
      const download = { id: 'joining', snapshot: first?.id ?? '', time: Date.now() };
      await catalogue.changeSnapshots((list) => withTransfer(list, 'downloads', download));
      log.moveTo(20);
      expect(await log.keep()).toEqual([[0], 1]);
      Object.assign(log, { isHolder: false, hours: 25 });
      expect(await log.keep()).toEqual([[0], 1]);
      log.isHolder = true;
      expect(await log.keep()).toEqual([[20, 0], 1]);
      log.moveTo(40);
      log.hours = 0;
      expect(await log.keep()).toEqual([[20, 0], 1]);
      log.hours = 25;
      expect(await log.keep()).toEqual([[40, 20, 0], 1]);
      log.hours = 0;

      log.positions = [45, 42];
      expect(await log.keep()).toEqual([[40, 20, 0], 1]);
      await catalogue.changeSnapshots((list) => withoutTransfer(list, 'joining'));
      log.positions = [45, 9];
      expect(await log.keep()).toEqual([[40, 20, 0], 10]);
      log.positions = [45, 42];
      const newest = (await catalogue.snapshots()).snapshots[0]?.id ?? '';
      const bucket = `OBJ_${snapshotBucket('kept', newest)}`;
      await log.parts.connected.manager.streams.delete(bucket);
      expect(await log.keep()).toEqual([[40, 20, 0], 10]);
      log.moveTo(48);
      log.hours = 25;
      // The lease is lost while the snapshot is made.
      let looks = 0;
      await new SnapshotKeeper({ ...log.options, isHolder: () => ++looks === 1 }).keep();
      expect([await log.sequences(), await log.firstEntry()]).toEqual([[48, 40], 10]);
      log.hours = 0;
      expect(await log.keep()).toEqual([[48, 40], 41]);
      expect(log.said(50)).toEqual([]);
      await log.parts.connected.link.close();
    },
  );

  natsTest('the keeper of snapshots takes the time from NATS, whatever its own clock says', async () => {
    const log = await KeptLog.open(servers, 'clock', original);
    const { catalogue } = log;
    const real = Date.now;
    await catalogue.changeSnapshots((list, time) =>
      withTransfer(list, 'uploads', { id: 'other', snapshot: 'other', time }),
    );
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => real() + 48 * HOUR);
    try {
      log.moveTo(20);
      expect((await log.keep())[0]).toEqual([0]);
      log.hours = 25;
      expect((await log.keep())[0]).toEqual([20, 0]);
    } finally {
      clock.mockRestore();
    }
    const { snapshots, uploads } = await catalogue.snapshots();
    expect(uploads.map(({ id }) => id)).toEqual(['other']);
    expect(Math.abs(real() - (snapshots[0]?.time ?? 0))).toBeLessThan(HOUR);
    // One that such a machine has made before does not stop those that follow.
    await catalogue.changeSnapshots((list) => ({
      ...list,
      snapshots: list.snapshots.map((one) => ({ ...one, time: one.time + 48 * HOUR })),
    }));
    Object.assign(log, { hours: 0 });
    log.moveTo(30);
    expect((await log.keep())[0]).toEqual([30, 20]);
    expect((await log.keep())[0]).toEqual([30, 20]);
    await log.parts.connected.link.close();
  });

  natsTest('the keeper retries a failed snapshot after ten minutes, and waits if NATS is away', async () => {
    const log = await KeptLog.open(servers, 'failing', original);
    log.moveTo(20);
    Object.assign(log, { hours: 25, program: new URL('file:///none.js') });
    expect(await log.keep()).toEqual([[0], 1]);
    expect(await log.keep()).toEqual([[0], 1]);
    expect(log.said(50)).toEqual([expect.stringContaining('no snapshot was made')]);
    const { uploads, removed } = await log.catalogue.snapshots();
    expect([uploads, removed]).toEqual([[], []]);
    expect(await log.buckets()).toHaveLength(1);
    log.program = SNAPSHOT_PROGRAM;
    log.hours += 9 / 60;
    expect(await log.keep()).toEqual([[0], 1]);
    log.hours += 2 / 60;
    expect(await log.keep()).toEqual([[20, 0], 1]);
    rmSync(log.file);
    log.hours += 25;
    await log.keep();
    expect(log.said(50)).toHaveLength(2);
    await log.parts.connected.link.close();
    await log.keeper.keep();
    expect(log.said(40)).toEqual([expect.stringContaining('the snapshots in NATS cannot be checked now')]);
  });

  natsTest('the keeper of snapshots does no harm if two nodes hold the lease for a moment', async () => {
    const one = await KeptLog.open(servers, 'twice', original);
    const file = join(newFolder(), 'tidings.sqlite');
    copyDatabase(one.file, file);
    const parts = await openParts(servers, 'twice');
    const other = new KeptLog(parts, await Catalogue.open(parts.connected.client, 'twice'), one.record, file);
    for (const [round, log] of [one, other, one].entries()) {
      const positions = [11 + 10 * round];
      for (const each of [one, other]) Object.assign(each, { hours: 25, positions });
      one.moveTo(10 + 10 * round);
      other.moveTo(11 + 10 * round);
      await Promise.all([one.keep(), other.keep()]);
      const [sequences, firstEntry] = await log.keep();
      expect(sequences.length).toBeLessThanOrEqual(2);
      expect(firstEntry).toBeLessThanOrEqual((sequences[1] ?? 0) + 1);
      const ids = (await log.catalogue.snapshots()).snapshots.map(({ id }) => id);
      expect((await log.buckets()).sort()).toEqual(ids.sort());
    }
    expect([...one.said(50), ...other.said(50)]).toEqual([]);
    expect(await one.firstEntry()).toBeGreaterThan(10);
  });
});

/**
 * No fault of nodes or NATS loses anything: each acknowledged message is on every node once, under one id, and every device gets
 * each message once and in order. A few faults of each kind, one after the other; with `CHAOS_SECONDS=30` all of them, each
 * under a load of its own, and for so long if it lasts. That takes half an hour and writes `bench/results/chaos.md`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Chaos } from '../support/chaos.ts';
import { startChaosCluster } from '../support/chaos-cluster.ts';
import { everyFault, type Means, type Site, SOME_FAULTS } from '../support/faults.ts';
import { Machines } from '../support/machines.ts';
import { describeNats, natsTest } from '../support/nats.ts';
import { networkTest } from '../support/private-network.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';

const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 0);
const IS_LONG = SECONDS > 0;

/** In the short form long enough for another server to be elected, and for a connection to be given up. */
const LASTING_MILLISECONDS = IS_LONG ? SECONDS * 1000 : 2500;

/** The time for a test: faults, elections, the start of nodes, and reading all histories. */
const TEST_MILLISECONDS = 300_000 + 4 * LASTING_MILLISECONDS;

const DISK_MEBIBYTES = 96;

const REPORT = join(import.meta.dirname, '../../bench/results/chaos.md');

/** The rows of the table of faults. */
const report: string[] = [
  `Faults of ${SECONDS} s, with 8 clients that publish and 30 devices that read, on 3 nodes and 3 NATS servers:\n`,
  '| fault | acknowledged | lost | twice | longest stall |',
  '| ----- | ------------ | ---- | ----- | ------------- |',
];

function note(...cells: readonly unknown[]): void {
  const row = `| ${cells.join(' | ')} |`;
  process.stderr.write(`${row}\n`);
  report.push(row);
  if (!IS_LONG) return;
  mkdirSync(join(REPORT, '..'), { recursive: true });
  writeFileSync(REPORT, `${report.join('\n')}\n`);
}

describeNats('a cluster of three nodes and three NATS servers', () => {
  let site: Site;
  let means: Means | undefined;
  const hasMeans = IS_LONG && networkTest !== test.skip && diskTest !== test.skip;
  beforeAll(async () => {
    const lasting = (): Promise<void> => sleep(LASTING_MILLISECONDS);
    if (!hasMeans) {
      site = { ...(await startChaosCluster()), lasting };
      return;
    }
    const [nodeDisk, serverDisk] = [new SmallDisk(DISK_MEBIBYTES), new SmallDisk(DISK_MEBIBYTES)];
    const machines = new Machines(3);
    site = { ...(await startChaosCluster(machines, { node: nodeDisk, server: serverDisk })), lasting };
    means = { machines, nodeDisk, serverDisk };
  });
  afterAll(cleanUp, 60_000);

  async function expectNoDamage(name: string, run: (site: Site) => Promise<void>): Promise<void> {
    await withRandom(async (random) => {
      const through = Chaos.through(site.nodes, random, name, () => run(site));
      const damage = await through.catch((error: unknown) => {
        note(name, 'failed', (error as Error).message.split('\n', 1)[0]);
        throw error;
      });
      const { acknowledged, lost, twice, stallSeconds, faults } = damage;
      note(name, acknowledged, lost, twice, `${stallSeconds.toFixed(1)} s`, ...faults.slice(0, 3));
      expect({ lost, twice, faults }).toEqual({ lost: 0, twice: 0, faults: [] });
    });
  }

  if (!IS_LONG) {
    natsTest(
      'a cluster loses nothing, stores nothing twice, and misleads no device through some faults of each kind',
      () =>
        expectNoDamage('some of each kind', async () => {
          for (const { run } of SOME_FAULTS) await run(site);
        }),
      TEST_MILLISECONDS,
    );
    return;
  }
  const meansNow = (): Means => {
    if (means === undefined) throw new Error('there are no machines and disks');
    return means;
  };
  for (const { name, run, test: row = natsTest } of everyFault(meansNow, hasMeans ? natsTest : test.skip)) {
    row(
      `a cluster loses nothing, stores nothing twice, and misleads no device through this fault: ${name}`,
      () => expectNoDamage(name, run),
      TEST_MILLISECONDS,
    );
  }
});

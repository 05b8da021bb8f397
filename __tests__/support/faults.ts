/** The faults that a cluster of three nodes and three NATS servers must survive, one after the other. */
import type { test } from '@jest/globals';
import type { ChaosCluster } from './chaos-cluster.ts';
import type { Machines } from './machines.ts';
import { ServerProcess } from './server.ts';
import type { SmallDisk } from './small-disk.ts';
import { until } from './until.ts';
import { clockTest, WrongClock } from './wrong-clock.ts';

/** A node that starts without NATS gives up after some seconds. */
const MAX_STARTS = 20;

const DAY_SECONDS = 24 * 3600;

/** The cluster on which faults are made, and its clients. */
export interface Site extends ChaosCluster {
  /** Waits as long as a fault is to last. */
  readonly lasting: () => Promise<void>;
}

/** The tools and rights that faults need, and not every machine has. */
export interface Means {
  /** On which the servers run. */
  readonly machines: Machines;
  /** Of node 2. */
  readonly nodeDisk: SmallDisk;
  /** Of server 2. */
  readonly serverDisk: SmallDisk;
}

export interface Fault {
  readonly name: string;
  readonly run: (site: Site) => Promise<void>;
  /** Skips it on a machine that lacks what it needs. */
  readonly test?: typeof test | typeof test.skip;
}

async function allOf(indices: readonly number[], run: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(indices.map(run));
}

async function oneByOne(indices: readonly number[], run: (index: number) => Promise<unknown>): Promise<void> {
  for (const index of indices) await run(index);
}

const SERVERS = [0, 1, 2];

async function streamLeader({ nats, nodes }: Site): Promise<number> {
  return (await nats.leaderOf(`${nodes.prefix}-1`)) ?? 0;
}

async function startAgainAndAgain(start: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await start();
      return;
    } catch (error) {
      if (tries === MAX_STARTS || !(error as Error).message.includes('are most of its servers up?'))
        throw error;
    }
  }
}

/** Runs nodes with another environment for a time. */
async function withEnv(
  { nodes, envOf }: Site,
  indices: readonly number[],
  env: Readonly<Record<string, string>>,
  run: () => Promise<void>,
): Promise<void> {
  const restart = async (index: number, more: Readonly<Record<string, string>>): Promise<void> => {
    await nodes.stop(index);
    await nodes.restart(index, { env: { ...envOf(index), ...more } });
  };
  await oneByOne(indices, (index) => restart(index, env));
  await run();
  await oneByOne(indices, (index) => restart(index, {}));
}

/** Sets the clock of nodes while they run, and sets it right again. */
async function withClock(site: Site, indices: readonly number[], seconds: number): Promise<void> {
  const clock = new WrongClock();
  await withEnv(site, indices, clock.env, async () => {
    clock.set(seconds);
    await site.lasting();
    clock.set(0);
    await site.lasting();
  });
}

const KILLS: readonly Fault[] = [
  {
    name: 'kill -9 of each node in turn',
    run: ({ nodes }) =>
      oneByOne([0, 1, 2], async (index) => {
        await nodes.kill(index);
        await nodes.restart(index);
      }),
  },
  {
    name: 'kill -9 of the NATS server that leads the stream',
    run: async (site) => {
      const leader = await streamLeader(site);
      await site.nats.kill(leader);
      await site.lasting();
      await site.nats.restart(leader);
    },
  },
];

const PAUSES: readonly Fault[] = [
  {
    name: 'a node that stands still',
    run: async ({ nodes, lasting }) => {
      nodes.pause(1);
      await lasting();
      nodes.resume(1);
    },
  },
  {
    name: 'a NATS server that stands still, which leads the stream',
    run: async (site) => {
      const leader = await streamLeader(site);
      site.nats.pause(leader);
      await site.lasting();
      site.nats.resume(leader);
    },
  },
];

const ENDS: readonly Fault[] = [
  {
    name: 'SIGTERM and a new start of all nodes, one after the other',
    run: ({ nodes }) =>
      oneByOne(nodes.indices, async (index) => {
        await nodes.stop(index);
        await nodes.restart(index);
      }),
  },
  {
    name: 'SIGTERM and a new start of all NATS servers, one after the other',
    run: ({ nats }) =>
      oneByOne(SERVERS, async (index) => {
        await nats.stop(index);
        await nats.restart(index);
        await nats.ready();
      }),
  },
];

const OUTAGES: readonly Fault[] = [
  {
    name: 'kill -9 of all NATS servers at once',
    run: async ({ nats, lasting }) => {
      await allOf(SERVERS, (index) => nats.kill(index));
      await lasting();
      await allOf(SERVERS, (index) => nats.restart(index));
    },
  },
  {
    name: 'kill -9 of everything at once',
    run: async ({ nats, nodes }) => {
      await Promise.all([
        allOf(SERVERS, (index) => nats.kill(index)),
        allOf(nodes.indices, (index) => nodes.kill(index)),
      ]);
      await allOf(SERVERS, (index) => nats.restart(index));
      // As whatever supervises a node does: one that starts while servers elect a leader may end.
      await allOf(nodes.indices, (index) => startAgainAndAgain(() => nodes.restart(index)));
    },
  },
  {
    name: 'a majority of the NATS servers away',
    run: async ({ nats, lasting }) => {
      await allOf([1, 2], (index) => nats.kill(index));
      await lasting();
      await allOf([1, 2], (index) => nats.restart(index));
    },
  },
];

const NODE_CUT: Fault = {
  name: 'a node that is cut off from NATS',
  run: async ({ cutNode, healNode, lasting }) => {
    cutNode(1);
    await lasting();
    healNode(1);
  },
};

/** The time of entries is that of the server which leads the stream. */
const CLOCKS: readonly Fault[] = (
  [
    {
      name: 'a node whose clock goes a day ahead, and back',
      run: (site) => withClock(site, [1], DAY_SECONDS),
    },
    { name: 'a node whose clock goes back a day', run: (site) => withClock(site, [1], -DAY_SECONDS) },
    {
      // A server's clock cannot be set for it alone: Go asks the system without libc, and a time namespace of Linux has only
      // the clocks that count since the start. Nodes that all go wrong the other way are to the servers as that is to nodes.
      name: 'NATS servers whose clocks are a day behind those of all nodes',
      run: (site) => withClock(site, [0, 1, 2], DAY_SECONDS),
    },
    {
      name: 'NATS servers whose clocks are a day ahead of those of all nodes',
      run: (site) => withClock(site, [0, 1, 2], -DAY_SECONDS),
    },
  ] satisfies Fault[]
).map((fault) => ({ ...fault, test: clockTest }));

/** Operators' errors. */
const ERRORS: readonly Fault[] = [
  {
    name: 'two nodes with the same NODE_NAME',
    run: (site) => withEnv(site, [1], { NODE_NAME: 'node-0' }, site.lasting),
  },
  {
    name: 'a second process on the database of a node',
    run: async ({ nodes, envOf, lasting }) => {
      const env = { NATS_STREAM: nodes.prefix, ...envOf(1) };
      const second = ServerProcess.launch({ database: nodes.databaseOf(1), env });
      const { code, stderr } = await second.ended;
      if (code !== 1 || !stderr.includes('held by another Tidings process')) {
        throw new Error(`a second process was not refused: ${code}, ${stderr}`);
      }
      await lasting();
    },
  },
];

/** Faults of a network, and of small disks. */
function faultsBy(means: () => Means): Fault[] {
  return [
    {
      name: 'a NATS server that is cut off from all, which leads the stream',
      run: async (site) => {
        const { machines } = means();
        const leader = await streamLeader(site);
        machines.cutOff(leader);
        await site.lasting();
        machines.reconnect(leader);
      },
    },
    {
      name: 'a minority of both cut off: a node from NATS, and the NATS server that leads the stream from all',
      run: async (site) => {
        const { machines } = means();
        const leader = await streamLeader(site);
        machines.cutOff(leader);
        site.cutNode(1);
        await site.lasting();
        site.healNode(1);
        machines.reconnect(leader);
      },
    },
    {
      name: 'a majority of the NATS servers cut off from each other',
      run: async ({ lasting }) => {
        const { machines } = means();
        for (const index of [0, 1]) machines.cutOff(index);
        await lasting();
        for (const index of [0, 1]) machines.reconnect(index);
      },
    },
    {
      name: 'a full disk on one node',
      run: async ({ lasting }) => {
        const { nodeDisk } = means();
        nodeDisk.fill();
        await lasting();
        nodeDisk.makeRoom();
      },
    },
    {
      name: 'a full disk on one NATS server, which is started again when there is room',
      run: async ({ nats, lasting }) => {
        const { serverDisk } = means();
        serverDisk.fill();
        await lasting();
        serverDisk.makeRoom();
        await nats.stop(2);
        await nats.restart(2);
        await until(() => nats.server(2).isHealthy(), 'server 2 to have what it missed');
      },
    },
  ];
}

/** The cluster has one node more after it. */
const JOINING: Fault = {
  name: 'a node that joins',
  run: async ({ nodes, lasting }) => {
    await nodes.add();
    await lasting();
  },
};

/** Some of each kind, which take no time to speak of. */
export const SOME_FAULTS: readonly Fault[] = [...KILLS, ...PAUSES, ...[NODE_CUT], ...ENDS.slice(0, 1)];

/**
 * Returns every fault.
 *
 * @param means called when a fault begins that needs them
 * @param meansTest the test of such a fault
 */
export function everyFault(means: () => Means, meansTest: NonNullable<Fault['test']>): Fault[] {
  return [
    ...[...KILLS, ...PAUSES, NODE_CUT, ...ENDS, ...OUTAGES, ...ERRORS, ...CLOCKS],
    ...faultsBy(means).map((fault) => ({ ...fault, test: meansTest })),
    JOINING,
  ];
}

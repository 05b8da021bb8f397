/** Three nodes and three NATS servers for faults of all kinds. */
import { join } from 'node:path';
import { CutLink } from './cut-link.ts';
import type { Machines } from './machines.ts';
import { NatsServers } from './nats.ts';
import { Nodes } from './nodes.ts';
import type { SmallDisk } from './small-disk.ts';

/** Node 2 and server 2 have these disks, if they have small ones. */
export interface SmallDisks {
  readonly node?: SmallDisk;
  readonly server?: SmallDisk;
}

const SERVERS = 3;
const NODES = 3;

/** Publishes and streams are not limited, and a stream that is silent for some seconds leads nowhere. */
const ENV = { HEARTBEAT_SECONDS: '1', PUBLISH_RATE: '0' };

export interface ChaosCluster {
  readonly nats: NatsServers;
  readonly nodes: Nodes;
  /** The variables of each node. Its URLs of the servers lead over its own links, which can be cut. */
  readonly envOf: (index: number) => Readonly<Record<string, string>>;
  /** Loses all that goes from a node to NATS and back. Its clients still reach it. */
  readonly cutNode: (index: number) => void;
  readonly healNode: (index: number) => void;
}

/**
 * Starts it.
 *
 * @param machines on which the servers run, one on each; all are on this one by default
 */
export async function startChaosCluster(machines?: Machines, disks: SmallDisks = {}): Promise<ChaosCluster> {
  const nats = await NatsServers.start(SERVERS, (index) => ({
    ...(machines && { host: machines.addressOf(index), wrapper: machines.wrapperOf(index) }),
    ...(index === 2 && disks.server && { store: join(disks.server.folder, 'store') }),
  }));
  const links = await Promise.all(
    Array.from({ length: NODES }, () => Promise.all(nats.servers.map(({ place }) => CutLink.to(place)))),
  );
  const linksOf = (index: number): readonly CutLink[] => links[index] ?? [];
  const envOf = (index: number): Readonly<Record<string, string>> => ({
    NATS_URL: linksOf(index)
      .map(({ port }) => `nats://127.0.0.1:${port}`)
      .join(','),
  });
  const nodes = await Nodes.start(NODES, {
    nats,
    env: ENV,
    node: (index) => ({
      env: envOf(index),
      ...(index === 2 && disks.node && { database: disks.node.database }),
    }),
  });
  return {
    nats,
    nodes,
    envOf,
    cutNode: (index) => linksOf(index).forEach((link) => link.cut()),
    healNode: (index) => linksOf(index).forEach((link) => link.heal()),
  };
}

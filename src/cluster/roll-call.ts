import { setTimeout as wait } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { DigestAt } from '../log/entry.ts';
import { type Beat, decodeBusMessage } from './bus-message.ts';
import { busSubject } from './names.ts';

/** The time to listen. Each node sends a heartbeat every second. */
const LISTEN_MILLISECONDS = 1500;

/** The maximum number of nodes. Further ones are ignored. */
const MAX_NODES = 100;

/** A node that sends heartbeats. */
export interface HeardNode extends Pick<Beat, 'name' | 'version' | 'unready' | 'retention' | 'divergedAt'> {
  /** Its random id, new at each start. */
  readonly id: string;
  readonly generation: number;
  /** The sequence of the newest entry that it has applied. */
  readonly position: number;
  /** Its newest digest after a multiple of 1,000 entries; `null` if it has none since its start. */
  readonly digest: DigestAt | null;
}

/**
 * Listens for the nodes of a log for a little more than a second.
 *
 * @returns the nodes heard, sorted by name; none if the connection closes meanwhile
 */
export async function listenForNodes(
  connection: NatsConnection,
  prefix: string,
  logId: string,
): Promise<HeardNode[]> {
  const heard = new Map<string, HeardNode>();
  const subscription = connection.subscribe(busSubject(prefix), {
    callback: (error, { data }) => {
      const received = error === null ? decodeBusMessage(data) : undefined;
      if (received?.message.kind !== 'beat') return;
      const { from: id, log, message } = received;
      const [ofLog, generation] = log.split('/');
      if (ofLog !== logId || (heard.size >= MAX_NODES && !heard.has(id))) return;
      const { name, version, unready, retention, divergedAt, through: position, digests } = message;
      const digest = digests.at(-1) ?? null;
      heard.set(id, {
        id,
        name,
        version,
        generation: Number(generation),
        unready,
        retention,
        divergedAt,
        position,
        digest,
      });
    },
  });
  await wait(LISTEN_MILLISECONDS);
  subscription.unsubscribe();
  return [...heard.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { type Entry } from '../log/entry.ts';
import { encodeEntry } from '../log/order/entry-codec.ts';
import type { Branch } from '../log/replica/join-cluster.ts';
import { StartError } from '../start-error.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { JetStreamEntries } from './entry-stream.ts';
import { BRANCH, entriesSubject, GENERATION, LOG_ID, streamName } from './names.ts';

/** The time within which the servers recognize repeated publishes. Nothing depends on it. */
const DUPLICATE_WINDOW_NANOSECONDS = 120_000_000_000;

/** JetStream's code for a stream that does not exist. */
const STREAM_NOT_FOUND = 10059;

/** A generation of a log: its stream. */
export interface Generation {
  readonly prefix: string;
  readonly logId: string;
  readonly generation: number;
  /** The number of servers that store each entry. */
  readonly replicas: number;
  /** The end of the previous generation; missing in the first. */
  readonly branch?: Branch;
}

/** Returns JetStream's information about the stream of a generation; `undefined` if the stream does not exist. */
export async function streamInfo(
  { manager }: Pick<JetStreamLink, 'manager'>,
  prefix: string,
  generation: number,
): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(streamName(prefix, generation));
  } catch (error) {
    if ((error as { code?: unknown }).code === STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}

/**
 * Creates the stream of a generation, with its first entries. It can be repeated: an existing stream is used if it has
 * the same origin, and repeated entries change nothing when they are applied.
 *
 * @param proposer the proposer of the first entries
 * @throws {StartError} if a stream with a different origin exists
 */
export async function makeGeneration(
  connected: JetStreamLink,
  made: Generation,
  proposer: string,
  entries: readonly Entry[],
): Promise<void> {
  const { prefix, generation } = made;
  const config = configOf(made);
  const before = await streamInfo(connected, prefix, generation);
  if (before === undefined) {
    await connected.manager.streams.add(config);
  } else if ([LOG_ID, BRANCH].some((key) => before.config.metadata?.[key] !== config.metadata?.[key])) {
    const { name } = config;
    throw new StartError(
      `NATS already has a stream ${name}, which another, interrupted command has made. Repeat the command with the DATABASE that ` +
        `it was given, or remove that stream, which no node follows: nats stream rm ${name}`,
    );
  }
  const stream = new JetStreamEntries({
    ...connected,
    prefix,
    generation,
    maxPayload: connected.link.maxPayload,
  });
  for (const [index, entry] of entries.entries()) {
    const counter = index + 1;
    await stream.append(encodeEntry(made, { proposer, counter }, entry), `${proposer}-${counter}`);
  }
}

function configOf({ prefix, logId, generation, replicas, branch }: Generation): Partial<StreamConfig> & {
  name: string;
} {
  return {
    name: streamName(prefix, generation),
    subjects: [entriesSubject(prefix, generation)],
    storage: 'file',
    retention: 'limits',
    // A full stream refuses new entries. A node trims old ones once no node needs them.
    discard: 'new',
    num_replicas: replicas,
    duplicate_window: DUPLICATE_WINDOW_NANOSECONDS,
    metadata: {
      [LOG_ID]: logId,
      [GENERATION]: String(generation),
      ...(branch === undefined ? {} : { [BRANCH]: `${branch.sequence}-${branch.digest}` }),
    },
  };
}

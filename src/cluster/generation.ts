import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { type Entry } from '../log/entry.ts';
import { encodeEntry } from '../log/order/entry-codec.ts';
import type { Branch } from '../log/replica/join-cluster.ts';
import { StartError } from '../start-error.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { JetStreamEntries } from './entry-stream.ts';
import { BRANCH, entriesSubject, GENERATION, LOG_ID, streamName } from './names.ts';

/** Publishes that are repeated within this time are recognized by the servers. Nothing depends on it. */
const DUPLICATE_WINDOW_NANOSECONDS = 120_000_000_000;

/** JetStream's code for a stream that does not exist. */
const STREAM_NOT_FOUND = 10059;

/** A generation of a log: its stream. */
export interface Generation {
  readonly prefix: string;
  readonly logId: string;
  readonly generation: number;
  /** How many servers have each entry. */
  readonly replicas: number;
  /** The end of the generation before; missing in the first. */
  readonly branch?: Branch;
}

/** Returns what JetStream says of the stream of a generation; `undefined` if there is none. */
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
 * Makes the stream of a generation, with its first entries. It can be repeated: a stream that is there already is taken if it
 * is of the same beginning, and entries of a repetition are applied as nothing.
 *
 * @param proposer of the first entries
 * @throws {StartError} if there is a stream of another beginning
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
      `NATS has a stream ${name} already, of another beginning that was interrupted. Repeat the command with the DATABASE that ` +
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
    // Old entries are trimmed by a node, when no node needs them: a full stream refuses new ones.
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

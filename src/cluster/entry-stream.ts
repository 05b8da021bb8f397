import type { JetStreamClient, JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import {
  type EntryStream,
  type StreamedEntry,
  type StreamExtent,
  StreamGone,
} from '../log/order/entry-stream.ts';
import { inTime } from './in-time.ts';
import { entriesSubject, GENERATION, LOG_ID, streamName } from './names.ts';
import { readStream } from './stream-reader.ts';

/**
 * A publish is retried if it is not confirmed within this time. Requests to a killed server are lost, and a stream
 * without a leader does not answer, so waiting longer would prolong each election.
 */
const APPEND_MILLISECONDS = 2000;

/** JetStream's code for a stream that does not exist. */
const STREAM_NOT_FOUND = 10059;

/** The space reserved for the headers of a message of NATS. */
const HEADER_BYTES = 1024;

/**
 * Returns the clock of the server that described a stream, in milliseconds since the Unix epoch; `undefined` if the
 * server does not report it.
 */
export function serverTime(info: StreamInfo): number | undefined {
  const { ts } = info as StreamInfo & { readonly ts?: string };
  return ts === undefined ? undefined : Date.parse(ts);
}

/** The options of `JetStreamEntries`. */
export interface JetStreamParts {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly prefix: string;
  readonly generation: number;
  /** The maximum size of a message that the servers accept, in bytes. */
  readonly maxPayload: number;
}

/** A stream of entries that is a stream of JetStream. */
export class JetStreamEntries implements EntryStream {
  readonly maxBytes: number;
  readonly #name: string;
  readonly #subject: string;
  readonly #link: { readonly client: JetStreamClient; readonly manager: JetStreamManager };

  constructor({ client, manager, prefix, generation, maxPayload }: JetStreamParts) {
    this.#name = streamName(prefix, generation);
    this.#subject = entriesSubject(prefix, generation);
    this.#link = { client, manager };
    this.maxBytes = maxPayload - HEADER_BYTES;
  }

  async append(bytes: Uint8Array, id: string): Promise<void> {
    await this.#link.client.publish(this.#subject, bytes, {
      msgID: id,
      timeout: APPEND_MILLISECONDS,
      expect: { streamName: this.#name },
    });
  }

  async extent(): Promise<StreamExtent> {
    let info: StreamInfo;
    try {
      info = await inTime(this.#link.manager.streams.info(this.#name));
    } catch (error) {
      if ((error as { code?: unknown }).code === STREAM_NOT_FOUND) throw new StreamGone(this.#name);
      throw error;
    }
    const { config, state } = info;
    return {
      logId: config.metadata?.[LOG_ID] ?? '',
      generation: Number(config.metadata?.[GENERATION] ?? 0),
      first: Math.max(1, state.first_seq),
      last: state.last_seq,
      now: serverTime(info),
    };
  }

  async entry(sequence: number): Promise<StreamedEntry | undefined> {
    const found = await this.#link.manager.streams.getMessage(this.#name, { seq: sequence });
    return found === null
      ? undefined
      : { sequence: found.seq, time: found.time.getTime(), bytes: found.data };
  }

  async *read(after: number, signal: AbortSignal): AsyncGenerator<StreamedEntry> {
    for await (const { seq, data, timestampNanos } of readStream(this.#link, this.#name, { after }, signal)) {
      // Converted to a number, these nanoseconds could round up to the next millisecond, which would change the entry's
      // mark.
      yield { sequence: seq, time: Number(timestampNanos / 1_000_000n), bytes: data };
    }
  }
}

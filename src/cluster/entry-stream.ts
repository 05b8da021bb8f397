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
 * A publish that is not confirmed within this time is tried again. A server that is killed takes what was on its way with
 * it, and a stream without a leader answers nothing: waiting longer makes each election longer.
 */
const APPEND_MILLISECONDS = 2000;

/** JetStream's code for a stream that does not exist. */
const STREAM_NOT_FOUND = 10059;

/** The room for headers in a message of NATS. */
const HEADER_BYTES = 1024;

/** Returns the clock of the server that has described a stream, in milliseconds since the Unix epoch, if it says so. */
export function serverTime(info: StreamInfo): number | undefined {
  const { ts } = info as StreamInfo & { readonly ts?: string };
  return ts === undefined ? undefined : Date.parse(ts);
}

/** The parts of a stream of JetStream. */
export interface JetStreamParts {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly prefix: string;
  readonly generation: number;
  /** The bytes that the servers take in one message. */
  readonly maxPayload: number;
}

/** A stream of JetStream as the stream of entries. */
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
      // As a number, these nanoseconds may be rounded up to the next millisecond, and the mark of the entry would be another.
      yield { sequence: seq, time: Number(timestampNanos / 1_000_000n), bytes: data };
    }
  }
}

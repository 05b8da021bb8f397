import type { Consumer, JsMsg, JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { inTime } from './in-time.ts';

/** One pull asks for this much, or 100 messages, which the client of NATS sets; and is renewed after this time. */
const PULL_BYTES = 16 * 1024 * 1024;
const PULL_MILLISECONDS = 30_000;

/** The server says that often that it is there, also if there is nothing new. Two that are missing end the reading. */
const HEARTBEAT_MILLISECONDS = 500;

/** The status of a pull that has got all it asked for, or whose next entry does not fit. The client makes an error of it. */
const PULL_ENDED = 409;
const PULL_IS_FULL: ReadonlySet<string> = new Set(['batch completed', 'message size exceeds maxbytes']);

/** A consumer that nobody asks is removed by the server after this time. */
const INACTIVE_NANOSECONDS = 10_000_000_000;

/** The part of a stream that is read. */
export interface ReadOptions {
  /** The sequence to begin behind. */
  readonly after: number;
  /** The subject of the messages; missing: all of them. */
  readonly subject?: string;
}

/**
 * Reads a stream on and on, in its order, until the signal is aborted.
 *
 * @param name of the stream
 * @throws {Error} at the first sign of trouble: the reading can be begun again behind the last message that came
 */
export async function* readStream(
  { client, manager }: { readonly client: JetStreamClient; readonly manager: JetStreamManager },
  name: string,
  { after, subject }: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<JsMsg> {
  const info = await inTime(
    manager.consumers.add(name, {
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: after + 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_NANOSECONDS,
      ...(subject === undefined ? {} : { filter_subject: subject }),
    }),
  );
  const consumer = client.consumers.getConsumerFromInfo(info);
  try {
    while (!signal.aborted) yield* pull(consumer, signal);
  } finally {
    // The server removes it otherwise, a little later.
    void manager.consumers.delete(name, info.name).catch(() => undefined);
  }
}

/** Reads until one pull has ended. @throws {Error} if it could not go on */
async function* pull(consumer: Consumer, signal: AbortSignal): AsyncGenerator<JsMsg> {
  const messages = await consumer.fetch({
    max_bytes: PULL_BYTES,
    expires: PULL_MILLISECONDS,
    idle_heartbeat: HEARTBEAT_MILLISECONDS,
    // After a lost connection the client would ask for the consumer first, and if an election keeps the answer away, wait
    // for 30 s, without heeding heartbeats. So it asks for messages at once, and ends if neither these nor heartbeats come.
    bind: true,
  });
  const stop = (): void => messages.stop();
  signal.addEventListener('abort', stop);
  let isEmpty = true;
  try {
    for await (const message of messages) {
      isEmpty = false;
      yield message;
    }
  } catch (error) {
    // A message larger than a pull would be asked for again and again.
    if (isEmpty || !isFull(error)) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    messages.stop();
  }
}

function isFull(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message: string };
  return code === PULL_ENDED && PULL_IS_FULL.has(message);
}

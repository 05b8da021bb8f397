import type { Consumer, JsMsg, JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { inTime } from './in-time.ts';

/** A pull asks for this many bytes, or for 100 messages, the client's default, and is renewed after this time. */
const PULL_BYTES = 16 * 1024 * 1024;
const PULL_MILLISECONDS = 30_000;

/** The interval of the server's heartbeats while there is nothing new. If two are missing, reading ends. */
const HEARTBEAT_MILLISECONDS = 500;

/**
 * The status of a pull that received everything it asked for, or whose next message does not fit. The client turns it
 * into an error.
 */
const PULL_ENDED = 409;
const PULL_IS_FULL: ReadonlySet<string> = new Set(['batch completed', 'message size exceeds maxbytes']);

/** The time after which the server removes a consumer that nobody pulls from. */
const INACTIVE_NANOSECONDS = 10_000_000_000;

/** The part of a stream to read. */
export interface ReadOptions {
  /** The sequence to start after. */
  readonly after: number;
  /** The subject of the messages; if missing, all messages are read. */
  readonly subject?: string;
}

/**
 * Reads a stream in order, and waits for new messages, until the signal is aborted.
 *
 * @param name the name of the stream
 * @throws {Error} at the first sign of trouble. The caller can start again after the last message that arrived
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
    // If this fails, the server removes it a little later.
    void manager.consumers.delete(name, info.name).catch(() => undefined);
  }
}

/** Reads until one pull ends. @throws {Error} if the pull failed */
async function* pull(consumer: Consumer, signal: AbortSignal): AsyncGenerator<JsMsg> {
  const messages = await consumer.fetch({
    max_bytes: PULL_BYTES,
    expires: PULL_MILLISECONDS,
    idle_heartbeat: HEARTBEAT_MILLISECONDS,
    // After a lost connection the client would first ask for the consumer, and if an election prevents an answer, wait
    // for 30 s, ignoring missing heartbeats. With `bind` it asks for messages at once, and ends if neither messages nor
    // heartbeats arrive.
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
    // If the pull was empty, its first message is larger than a pull. Asking again would never end.
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

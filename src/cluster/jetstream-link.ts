import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Logger } from 'pino';
import type { NatsConfig } from '../config/nats.ts';
import { StartError } from '../start-error.ts';
import { connectNats } from './connection.ts';
import type { NatsLink } from './nats-link.ts';

/** The time in which JetStream must answer a request. */
const ASK_MILLISECONDS = 5000;

/** The minimum message size that the servers must accept: twice the size of a client's largest message. */
export const MIN_PAYLOAD_BYTES = 256 * 1024;

/** The surroundings of a connection. */
export interface JetStreamSurroundings {
  readonly config: NatsConfig;
  readonly logger: Logger;
  /** Cancels the start when it is aborted. */
  readonly signal: AbortSignal;
}

/** A connection to NATS with its JetStream. */
export interface JetStreamLink {
  readonly link: NatsLink;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
}

/**
 * Connects to NATS and its JetStream.
 *
 * @returns `undefined` if the signal was aborted
 * @throws {StartError} if NATS cannot be used
 */
export async function connectJetStream(
  surroundings: JetStreamSurroundings,
): Promise<JetStreamLink | undefined> {
  const link = await connectNats(surroundings);
  if (link === undefined) return undefined;
  try {
    if (link.maxPayload < MIN_PAYLOAD_BYTES) {
      throw new StartError(
        `NATS takes at most ${link.maxPayload} bytes in one message, and this service needs ${MIN_PAYLOAD_BYTES}: raise its max_payload.`,
      );
    }
    const { jetstream } = await import('@nats-io/jetstream');
    const client = jetstream(link.connection, { timeout: ASK_MILLISECONDS });
    return { link, client, manager: await client.jetstreamManager() };
  } catch (error) {
    await link.close();
    throw error;
  }
}

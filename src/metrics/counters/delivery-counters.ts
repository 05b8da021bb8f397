import type { ByeReason } from '../../wire/server-events.ts';

/** The reason why a stream closed: the one in its `bye`, the client, a stall, or a failure of the log. */
export type StreamEnd = ByeReason | 'client' | 'stalled' | 'failed';

/**
 * Counters of deliveries since the start. They are plain numbers: they count every write to every socket, and a call
 * into a metrics library would cost as much as the write.
 */
export class DeliveryCounters {
  /** Stored messages written to live streams, once for each stream. */
  delivered = 0;
  /** Messages written from the log, once for each stream. */
  replayed = 0;
  /** Publishes of messages that are not stored. */
  ephemeral = 0;
  /** Ephemeral messages written to live streams, once for each stream. */
  ephemeralDelivered = 0;
  /** Streams opened. */
  opened = 0;
  /** Streams closed, by reason. */
  readonly ended: Record<StreamEnd, number> = {
    client: 0,
    shutdown: 0,
    'token-expired': 0,
    'too-slow': 0,
    'over-limit': 0,
    behind: 0,
    disconnected: 0,
    stalled: 0,
    failed: 0,
  };
}

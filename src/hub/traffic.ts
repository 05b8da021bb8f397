import type { ByeReason } from '../stream/server-events.ts';

/** Why a stream ended: with a `bye`, because the client went, or cut: it took nothing, or the log could not be read. */
export type StreamEnd = ByeReason | 'client' | 'stalled' | 'failed';

/**
 * What went to devices since the start. Plain numbers and nothing around them: they are counted at every write to every
 * socket, where a call into a library of metrics would cost as much as the write.
 */
export class Traffic {
  /** Stored messages written as they happened, once for each stream that got one. */
  delivered = 0;
  /** Messages written out of the log, once for each stream that got one. */
  replayed = 0;
  /** Publishes of messages that are not stored. */
  ephemeral = 0;
  /** Those messages written, once for each stream that took one. */
  ephemeralDelivered = 0;
  /** Streams opened. */
  opened = 0;
  /** Streams that are over, by reason. */
  readonly ended: Record<StreamEnd, number> = {
    client: 0,
    shutdown: 0,
    'token-expired': 0,
    'too-slow': 0,
    'over-limit': 0,
    stalled: 0,
    failed: 0,
  };
}

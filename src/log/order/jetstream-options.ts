import type { Logger } from 'pino';
import type { EntryAddress } from './entry-codec.ts';
import type { EntryStream } from './entry-stream.ts';
import type { EntryApplier } from './order.ts';

/** The options of `JetStreamOrder`. */
export interface JetStreamOrderOptions {
  readonly stream: EntryStream;
  readonly replica: EntryApplier;
  readonly address: EntryAddress;
  /** The sequence of the last entry that the replica applied; 0 before the first. */
  readonly after: number;
  /** The mark of that entry; empty before the first. */
  readonly mark: string;
  readonly logger: Logger;
  /** Called when this node is too far behind to follow: the process must exit and join again. */
  readonly onFatal: (error: Error) => void;
  /** The times, which tests shorten. */
  readonly times?: OrderTimes;
}

/** The times of an order, in milliseconds. */
export interface OrderTimes {
  /** A node counts as hearing the stream if an entry arrived within this time. */
  readonly hearing?: number;
  /** The longest wait for the node to catch up. */
  readonly catchUp?: number;
  /** The longest wait for a proposal to come back. */
  readonly settle?: number;
  /** See `doubtMilliseconds` of `TailOptions`. */
  readonly doubt?: number;
}

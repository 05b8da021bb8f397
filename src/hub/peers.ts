import type { EphemeralMessage } from '../message.ts';

/** The other nodes of a cluster, as recipients of news about connections and ephemeral messages of this node. */
export interface Peers {
  /** Reports that a stream or poll of these addresses has begun on this node. */
  joined(addresses: readonly string[]): void;
  /** Reports that a stream or poll of these addresses has ended on this node. */
  left(addresses: readonly string[]): void;
  /**
   * Relays an ephemeral message to the live streams of other nodes, in the order of the calls.
   *
   * @param isCounted whether the caller wants the number of streams
   * @returns the number of streams it was written to, on nodes that answered soon; 0 at once if it is not counted
   */
  dispatchEphemeral(message: EphemeralMessage, isCounted: boolean): Promise<number>;
}

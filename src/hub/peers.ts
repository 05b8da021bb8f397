import type { EphemeralMessage } from '../message.ts';

/** The other nodes of a cluster, as far as connections of this node concern them. */
export interface Peers {
  /** Notes that a stream or poll of these addresses has begun on this node. */
  joined(addresses: readonly string[]): void;
  /** Notes that it has ended. */
  left(addresses: readonly string[]): void;
  /**
   * Brings a message that is not stored to the live streams of other nodes, in the order of the calls.
   *
   * @param isCounted whether the number of streams is wanted
   * @returns how many streams of the nodes that answered soon it was written to; 0 at once if that is not wanted
   */
  dispatchEphemeral(message: EphemeralMessage, isCounted: boolean): Promise<number>;
}

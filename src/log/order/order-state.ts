/**
 * The state of an order: `joining` until it has caught up, `following`, `lagging` if it has been behind for long,
 * `deaf` if no entry has arrived lately, `lost` if it has stopped following until the process is restarted.
 */
export type OrderState = 'joining' | 'following' | 'lagging' | 'deaf' | 'lost';

/**
 * The reason why nothing is read or written in a state, in words fit for a client; `undefined` if reads and writes are
 * possible.
 */
export const CUT_OFF: Readonly<Record<OrderState, string | undefined>> = {
  joining: 'this node has not caught up with the others yet',
  following: undefined,
  lagging: undefined,
  deaf: 'this node is cut off from the others',
  lost: 'this node has stopped following the others, and waits for its operator',
};

/** If the last message is further ahead than this, it was dated by a wrong clock. */
const MAX_AHEAD_MILLISECONDS = 3 * 86_400_000;

/**
 * Returns the `createdAt` of the messages of an entry. It never decreases as ids increase: after a clock that was ahead
 * is set back, messages get the time of the last one until the clock has caught up. The exception is a clock that was
 * ahead by more than three days: following it would date all messages far into the future, and keep those with a ttl
 * for that long.
 *
 * The result depends only on the entries, so all replicas agree on it.
 *
 * @param time the time of the entry, in milliseconds since the Unix epoch
 * @param last the last assigned `createdAt`; 0 if there is none
 */
export function nextCreatedAt(time: number, last: number): number {
  return last - time > MAX_AHEAD_MILLISECONDS ? time : Math.max(time, last);
}

/** A last message that is further ahead of the order than this came by a clock that was wrong. */
const MAX_AHEAD_MILLISECONDS = 3 * 86_400_000;

/**
 * Returns the `createdAt` of messages that the order brings at a time. It never runs against the ids: after a clock was
 * ahead and was set back, messages have the time of the last one until the clock has caught up. The exception is a clock
 * that was ahead by more than three days: to follow it would date all messages into a future that may never come, and
 * keep those with a ttl for as long.
 *
 * It depends on the entries alone, so all replicas give the same.
 *
 * @param time the time of the entry, in milliseconds since the Unix epoch
 * @param last the `createdAt` given last; 0 if there is none
 */
export function nextCreatedAt(time: number, last: number): number {
  return last - time > MAX_AHEAD_MILLISECONDS ? time : Math.max(time, last);
}

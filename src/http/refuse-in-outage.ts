import { unavailable } from '../errors.ts';
import type { Outage } from '../hub/outage.ts';
import { spreadRetrySeconds } from '../wire/server-events.ts';
import { firstName, NAMES_REFUSED } from './paths.ts';
import { publishProblem } from './problem.ts';

/**
 * Refuses a request while this node is cut off from the others, unless it asks how the node is, or for a file. Streams are
 * not for it: they are told by `bye`. The log has the outage, not each request.
 *
 * @param path without its query
 * @throws {Refusal} 503; to a publish, it says that nothing was stored
 */
export function refuseInOutage(outage: Outage, method: string | undefined, path: string): void {
  const { reason } = outage;
  if (reason === undefined) return;
  const name = firstName(path);
  // The files of the pages are the same on every node: they tell a person that the service is away.
  if (!NAMES_REFUSED.has(name)) return;
  const refusal = unavailable(
    `Not now: ${reason}. Try again later, or another node.`,
    spreadRetrySeconds(outage.retry),
    true,
  );
  throw name === 'messages' && method === 'POST' ? publishProblem(refusal) : refusal;
}

import { unavailable } from '../errors.ts';
import type { Outage } from '../hub/outage.ts';
import { spreadRetrySeconds } from '../wire/server-events.ts';
import { firstName, NAMES_REFUSED } from './paths.ts';
import { publishProblem } from './problem.ts';

/**
 * Refuses a request while this node is cut off from the others, unless it asks for the state of the node or for a file. Do
 * not use it for streams, which are refused by `bye`. The outage is logged, but not each request.
 *
 * @param path without its query
 * @throws {Refusal} 503; to a publish, it says that nothing was stored
 */
export function refuseInOutage(outage: Outage, method: string | undefined, path: string): void {
  const { reason } = outage;
  if (reason === undefined) return;
  const name = firstName(path);
  // The files of the pages are the same on every node, and the page tells people that the service is unavailable.
  if (!NAMES_REFUSED.has(name)) return;
  const refusal = unavailable(
    `Not now: ${reason}. Try again later, or try another node.`,
    spreadRetrySeconds(outage.retry),
    true,
  );
  throw name === 'messages' && method === 'POST' ? publishProblem(refusal) : refusal;
}

import type { Presence } from '../hub/presence.ts';
import { toWire } from '../hub/presence-state.ts';
import { identityOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/**
 * `GET /presence?recipient=A[&recipient=B…]`: who is online. Answers `{"A": {"online", "devices", "lastSeen"}, …}`;
 * `lastSeen` is null where an address was not seen since the start.
 */
export function presence(presence: Presence): Handler {
  return (request, response) => {
    const query = new Query(request.url, ['recipient']);
    const addresses = query.addresses('recipient', { least: 1, most: 100 });
    query.check();
    requireAll(identityOf(request).presence, addresses, 'recipient', 'presence');
    const states = addresses.map((address) => [address, toWire(presence.state(address))]);
    sendJson(response, JSON.stringify(Object.fromEntries(states)));
  };
}

import type { RequestHandler } from 'express';
import { type Presence, toWire } from '../hub/presence.ts';
import { identityOf } from './authenticate.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';

/**
 * `GET /presence?recipient=A[&recipient=B…]`: who is online. Answers `{"A": {"online", "devices", "lastSeen"}, …}`;
 * `lastSeen` is null where an address was not seen since the start.
 */
export function presence(presence: Presence): RequestHandler {
  return (request, response) => {
    const query = new Query(request.url, ['recipient']);
    const addresses = query.addresses('recipient', { least: 1, most: 100 });
    query.check();
    requireAll(identityOf(response).presence, addresses, 'recipient', 'presence');
    const states = addresses.map((address) => [address, toWire(presence.state(address))]);
    response.json(Object.fromEntries(states));
  };
}

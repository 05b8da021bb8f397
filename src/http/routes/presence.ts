import type { Presence } from '../../hub/presence.ts';
import { toWire } from '../../wire/presence-state.ts';
import { identityOf } from '../authenticate.ts';
import type { Handler } from '../handler.ts';
import { requireAll } from '../../auth/permission.ts';
import { Query } from '../query.ts';
import { addresses } from '../parameters.ts';
import { sendJson } from '../send-json.ts';

/** The parameters of `GET /presence`. */
export const PRESENCE_PARAMETERS = {
  recipient: {
    ...addresses({ min: 1, max: 100 }, 'The addresses whose presence is returned.'),
    required: true,
  },
};

/**
 * Serves `GET /presence?recipient=A[&recipient=B…]`: tells who is online. Answers
 * `{"A": {"online", "devices", "lastSeen"}, …}`; `lastSeen` is null if an address has not been seen since the start.
 */
export function presence(presence: Presence): Handler {
  return (request, response) => {
    const query = new Query(request.url, PRESENCE_PARAMETERS);
    const asked = query.addresses('recipient', PRESENCE_PARAMETERS.recipient);
    query.check();
    requireAll(identityOf(request).presence, asked, 'recipient', 'presence');
    const states = asked.map((address) => [address, toWire(presence.state(address))]);
    sendJson(response, JSON.stringify(Object.fromEntries(states)));
  };
}

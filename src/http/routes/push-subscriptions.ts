import { addressFault } from '../../address.ts';
import type { Identity } from '../../auth/identity.ts';
import { badFields, type FieldError, pointerToken, Refusal, unavailable, unknownName } from '../../errors.ts';
import type { PushStore, PushSubscription } from '../../log/push-store.ts';
import { ENDPOINT_SCHEMA, type PushHosts, shortened } from '../../push/push-hosts.ts';
import { BOUNDS, type Notifier, type SubscriptionRefused } from '../../push/notifier.ts';
import { readEndpoint, readSubscription, SUBSCRIPTION_SCHEMA } from '../../push/subscription.ts';
import { named } from '../../schema.ts';
import { identityOf } from '../authenticate.ts';
import { parseBody } from '../body.ts';
import { DATA_HEADERS } from '../data-headers.ts';
import type { Handler } from '../handler.ts';
import { requireAll } from '../../auth/permission.ts';
import { Query } from '../query.ts';
import { integer, MAX_ID, NO_PARAMETERS, oneAddress } from '../parameters.ts';
import { sendJson } from '../send-json.ts';

/** How many subscriptions are read for one answer, which then has at most about half a MiB. */
const PAGE = 500;

/** How many inboxes of a device are checked to find one that the client may read. */
const MAX_INBOXES = 1000;

/** The parameters of `GET /push-subscriptions`. */
export const SUBSCRIPTION_PARAMETERS = {
  recipient: oneAddress(
    'The address whose messages cause notifications; with a token, by default its `sub`.',
  ),
  after: integer(
    { min: 0, max: MAX_ID },
    'The id after which the subscriptions begin: the `after` of the previous answer.',
    0,
  ),
};

/** The fields of `POST /push-subscriptions`, with their schemas. */
export const SUBSCRIBE_FIELDS = {
  recipient: {
    ...named('Address'),
    description: "The address whose messages cause notifications; by default the token's `sub`.",
  },
  reader: {
    ...named('Address'),
    description:
      "The address whose read markers count; by default the token's `sub`, in open mode the recipient.",
  },
  subscription: SUBSCRIPTION_SCHEMA,
} as const;

/** The fields of `DELETE /push-subscriptions`: `id`, or `endpoint` with or without `recipient`. */
export const UNSUBSCRIBE_FIELDS = {
  id: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'The id that `GET` shows. Not with any other field.',
  },
  endpoint: ENDPOINT_SCHEMA,
  recipient: {
    ...named('Address'),
    description: 'The only inbox whose notifications end; by default all of the device.',
  },
} as const;

export interface PushSubscriptionParts {
  readonly notifier: Notifier;
  readonly pushHosts: PushHosts;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/**
 * Serves `POST /push-subscriptions` `{"recipient", "reader", "subscription"}`: subscribes a device to notifications of a
 * recipient's messages.
 *
 * With a token, `recipient` and `reader` are its `sub` by default; in open mode the reader is the recipient by default.
 * Answers 201 with the subscription, without its secrets; 200 if the device was subscribed before; 422 if the recipients
 * of the device or the subscriptions of the client are at their limit; 503 if the subscriptions of the service are.
 */
export function subscribe({ notifier, pushHosts }: PushSubscriptionParts): Handler {
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    const identity = identityOf(request);
    const errors: FieldError[] = [];
    const fields = readFields(parseBody(request), Object.keys(SUBSCRIBE_FIELDS), errors);
    const recipient = fields.has('recipient') ? fields.get('recipient') : identity.client;
    const reader = fields.has('reader') ? fields.get('reader') : (identity.client ?? recipient);
    for (const [path, address] of [
      ['/recipient', recipient],
      ['/reader', reader],
    ] as const) {
      const message =
        address === undefined
          ? 'is required: the address whose messages cause notifications'
          : addressFault(address);
      if (message !== undefined && !(path === '/reader' && reader === recipient))
        errors.push({ path, message });
    }
    const given = readSubscription(fields.get('subscription'), '/subscription', pushHosts, errors);
    if (given === undefined || errors.length > 0) throw badFields(errors);
    const addresses = { recipient: recipient as string, reader: reader as string };
    requireAll(identity.read, [addresses.recipient], 'recipient', 'read');
    requireAll(identity.read, [addresses.reader], 'reader', 'read');
    const client = identity.client ?? null;
    const result = await notifier.subscribe({ ...addresses, ...given, client });
    if (typeof result === 'string') throw refusalOf(result);
    const { stored, isNew } = result;
    sendJson(response, JSON.stringify(toWire(stored)), { status: isNew ? 201 : 200 });
  };
}

function refusalOf(refused: SubscriptionRefused): Refusal {
  switch (refused) {
    case 'recipients':
      return tooMany(
        '/recipient',
        `is one too many: a device may have at most ${BOUNDS.recipients} recipients; unsubscribe from one first`,
      );
    case 'perClient':
      return tooMany(
        '/subscription',
        `is one too many: a client may have at most ${BOUNDS.perClient} subscriptions; delete one first`,
      );
    case 'total':
      return unavailable('The limit on subscriptions of the service is reached.', 60);
  }
}

function tooMany(path: string, message: string): Refusal {
  return badFields([{ path, message }], 'conflict');
}

/**
 * Serves `GET /push-subscriptions?recipient=A[&after=N]`: the devices that are notified of A's messages, oldest first.
 * For a room, only those whose reader the token may read. Answers `{"subscriptions": […]}`, each without its secrets, and
 * `"after": N` for the next page if there may be more.
 */
export function subscriptions(store: PushStore): Handler {
  return (request, response) => {
    const query = new Query(request.url, SUBSCRIPTION_PARAMETERS);
    const identity = identityOf(request);
    const { client, read } = identity;
    const [recipient = ''] =
      client !== undefined && !query.has('recipient')
        ? [client]
        : query.addresses('recipient', SUBSCRIPTION_PARAMETERS.recipient);
    const after = query.integer('after', 0, SUBSCRIPTION_PARAMETERS.after);
    query.check();
    requireAll(read, [recipient], 'recipient', 'read');
    const page = store.ofRecipient(recipient, after, PAGE);
    const visible = page.filter((subscription) => isShown(subscription, identity));
    const next = page.length === PAGE ? page.at(-1)?.id : undefined;
    sendJson(response, JSON.stringify({ subscriptions: visible.map(toWire), after: next }));
  };
}

/**
 * Serves `DELETE /push-subscriptions` in one of two forms.
 *
 * `{"id"}` ends the subscription that `GET` shows with this id. Answers 204, or 404 if `GET` shows none to this client.
 *
 * `{"endpoint", "recipient"}` ends a device's notifications of this recipient's messages, or all of them if none is
 * given. Answers 204, even if nothing is done because the device is unknown or the token does not allow it.
 */
export function unsubscribe({ notifier, pushHosts }: PushSubscriptionParts, store: PushStore): Handler {
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    const identity = identityOf(request);
    const errors: FieldError[] = [];
    const fields = readFields(parseBody(request), Object.keys(UNSUBSCRIBE_FIELDS), errors);
    if (fields.has('id')) {
      const id = readId(fields, errors);
      const found = store.subscription(id);
      const ended = found !== undefined && isShown(found, identity) && (await notifier.remove(id));
      if (!ended) throw new Refusal('not-found', 'There is no such subscription.');
    } else {
      const endpoint = readEndpoint(fields.get('endpoint'), pushHosts);
      if (!(endpoint instanceof URL)) errors.push({ path: '/endpoint', message: endpoint });
      const recipient = fields.get('recipient');
      const fault = recipient === undefined ? undefined : addressFault(recipient);
      if (fault !== undefined) errors.push({ path: '/recipient', message: fault });
      if (!(endpoint instanceof URL) || errors.length > 0) throw badFields(errors);
      const one = recipient as string | undefined;
      if (mayEnd(identity, store, endpoint.href, one)) await notifier.unsubscribe(endpoint.href, one);
    }
    response.writeHead(204, DATA_HEADERS).end();
  };
}

/** Reads the id of the subscription to end. @throws {Refusal} 400 if it is not an id, or there is another field */
function readId(fields: ReadonlyMap<string, unknown>, errors: FieldError[]): number {
  const id = fields.get('id');
  if (!Number.isSafeInteger(id) || (id as number) < 1) {
    errors.push({ path: '/id', message: 'must be an id that GET /push-subscriptions shows' });
  }
  for (const name of ['endpoint', 'recipient']) {
    if (fields.has(name)) errors.push({ path: `/${name}`, message: 'cannot be given with "id"' });
  }
  if (errors.length > 0) throw badFields(errors);
  return id as number;
}

/** Returns whether `GET` shows a subscription to a client, who must be allowed to read its recipient and its reader. */
function isShown({ recipient, reader }: PushSubscription, { read }: Identity): boolean {
  return read.has(recipient) && read.has(reader);
}

/** Returns whether a client that knows a device's secret endpoint may end its subscriptions: it must be able to read one. */
function mayEnd(
  { read }: Identity,
  store: PushStore,
  endpoint: string,
  recipient: string | undefined,
): boolean {
  if (recipient !== undefined) return read.has(recipient) && store.has(recipient, endpoint);
  return store.inboxesOf(endpoint, MAX_INBOXES).some((inbox) => read.has(inbox));
}

/** Reads a body's fields. @param errors gets each unknown field @throws {Refusal} 400 if it is not an object */
function readFields(
  body: unknown,
  known: readonly string[],
  errors: FieldError[],
): ReadonlyMap<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badFields([{ path: '', message: 'must be a JSON object' }]);
  }
  const fields = new Map<string, unknown>(Object.entries(body));
  for (const field of fields.keys()) {
    if (known.includes(field)) continue;
    const message = unknownName(field, 'a field of this request', known, errors.length);
    errors.push({ path: `/${pointerToken(field)}`, message });
  }
  return fields;
}

function toWire(subscription: PushSubscription): object {
  const { id, recipient, reader, client, endpoint, createdAt, expirationTime } = subscription;
  return {
    id,
    recipient,
    reader,
    sub: client,
    endpoint: shortened(endpoint),
    createdAt: new Date(createdAt).toISOString(),
    expirationTime,
  };
}

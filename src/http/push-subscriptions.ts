import { addressFault } from '../address.ts';
import type { Identity } from '../auth/identity.ts';
import { badFields, type FieldError, pointerToken, Refusal, unavailable, unknownName } from '../errors.ts';
import type { PushStore, PushSubscription } from '../log/push-store.ts';
import { type PushHosts, shortened } from '../push/push-hosts.ts';
import type { Pushes, SubscriptionRefused } from '../push/pushes.ts';
import { readEndpoint, readSubscription } from '../push/subscription.ts';
import { identityOf } from './authenticate.ts';
import { parseBody } from './body.ts';
import type { Handler } from './handler.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/** Subscriptions that are looked at for one answer, which so has at most about half a MiB. */
const PAGE = 500;

/** Inboxes of a device that are looked at to see whether one may be read. */
const MOST_INBOXES = 1000;

export interface PushSubscriptionParts {
  readonly pushes: Pushes;
  readonly pushHosts: PushHosts;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
}

/**
 * `POST /push-subscriptions` `{"recipient", "reader", "subscription"}`: has a device notified of a recipient's messages.
 *
 * With a token, `recipient` and `reader` are its `sub` where they are not given; in open mode the reader is the recipient.
 * Answers 201 with what stands, without its secrets; 200 if the device was subscribed before; 422 if the device follows
 * as many recipients as it may, or the client has as many subscriptions as it may; 503 if the service has.
 */
export function subscribe({ pushes, pushHosts, now }: PushSubscriptionParts): Handler {
  return async (request, response) => {
    new Query(request.url, []).check();
    const identity = identityOf(request);
    const errors: FieldError[] = [];
    const fields = readFields(parseBody(request), ['recipient', 'reader', 'subscription'], errors);
    const recipient = fields.has('recipient') ? fields.get('recipient') : identity.client;
    const reader = fields.has('reader') ? fields.get('reader') : (identity.client ?? recipient);
    for (const [path, address] of [
      ['/recipient', recipient],
      ['/reader', reader],
    ] as const) {
      const message =
        address === undefined
          ? 'is required: the address whose messages are notified'
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
    const result = await pushes.subscribe({ ...addresses, ...given, client, createdAt: now() });
    if (typeof result === 'string') throw refusalOf(result);
    const { stored, isNew } = result;
    sendJson(response, JSON.stringify(toWire(stored)), { status: isNew ? 201 : 200 });
  };
}

function refusalOf(refused: SubscriptionRefused): Refusal {
  switch (refused) {
    case 'recipients':
      return tooMany('/recipient', 'is one too many: a device follows at most 100; end one of them first');
    case 'ofClient':
      return tooMany('/subscription', 'is one too many: a client has at most 5000; end one of them first');
    case 'inAll':
      return unavailable('The service has as many subscriptions as it takes.', 60);
  }
}

function tooMany(path: string, message: string): Refusal {
  return badFields([{ path, message }], 'conflict');
}

/**
 * `GET /push-subscriptions?recipient=A[&after=N]`: the devices that are notified of its messages, the oldest first; of
 * those of a room the ones whose reader the token names. Answers `{"subscriptions": […]}`, each without its secrets; and
 * `"after": N` if there may be others, which the next page is asked with.
 */
export function subscriptions(store: PushStore): Handler {
  return (request, response) => {
    const query = new Query(request.url, ['recipient', 'after']);
    const identity = identityOf(request);
    const { client, read } = identity;
    const [recipient = ''] =
      client !== undefined && !query.has('recipient')
        ? [client]
        : query.addresses('recipient', { least: 1, most: 1 });
    const after = query.integer('after', 0, { least: 0, most: Number.MAX_SAFE_INTEGER });
    query.check();
    requireAll(read, [recipient], 'recipient', 'read');
    const page = store.ofRecipient(recipient, after, PAGE);
    const visible = page.filter((subscription) => isShown(subscription, identity));
    const next = page.length === PAGE ? page.at(-1)?.id : undefined;
    sendJson(response, JSON.stringify({ subscriptions: visible.map(toWire), after: next }));
  };
}

/**
 * `DELETE /push-subscriptions`, one of two forms.
 *
 * `{"id"}` ends the subscription that `GET` shows by this id. Answers 204, or 404 if `GET` shows none to this client.
 *
 * `{"endpoint", "recipient"}` has a device notified no more of this recipient's messages, or of anything if none is given.
 * Answers 204, also if the device is not known, or the token may not: then nothing is done.
 */
export function unsubscribe({ pushes, pushHosts }: PushSubscriptionParts, store: PushStore): Handler {
  return async (request, response) => {
    new Query(request.url, []).check();
    const identity = identityOf(request);
    const errors: FieldError[] = [];
    const fields = readFields(parseBody(request), ['id', 'endpoint', 'recipient'], errors);
    if (fields.has('id')) {
      const id = readId(fields, errors);
      const found = store.subscription(id);
      const ended = found !== undefined && isShown(found, identity) && (await pushes.remove(id));
      if (!ended) throw new Refusal('not-found', 'There is no such subscription.');
    } else {
      const endpoint = readEndpoint(fields.get('endpoint'), pushHosts);
      if (!(endpoint instanceof URL)) errors.push({ path: '/endpoint', message: endpoint });
      const recipient = fields.get('recipient');
      const fault = recipient === undefined ? undefined : addressFault(recipient);
      if (fault !== undefined) errors.push({ path: '/recipient', message: fault });
      if (!(endpoint instanceof URL) || errors.length > 0) throw badFields(errors);
      const one = recipient as string | undefined;
      if (mayEnd(identity, store, endpoint.href, one)) await pushes.unsubscribe(endpoint.href, one);
    }
    response.writeHead(204).end();
  };
}

/** Reads the id of the subscription that is to end. @throws {Refusal} 400 if it is none, or stands beside another field */
function readId(fields: ReadonlyMap<string, unknown>, errors: FieldError[]): number {
  const id = fields.get('id');
  if (!Number.isSafeInteger(id) || (id as number) < 1) {
    errors.push({ path: '/id', message: 'must be a number as GET /push-subscriptions shows it' });
  }
  for (const name of ['endpoint', 'recipient']) {
    if (fields.has(name)) errors.push({ path: `/${name}`, message: 'cannot be given with "id"' });
  }
  if (errors.length > 0) throw badFields(errors);
  return id as number;
}

/** Says whether `GET` shows a subscription to a client: of a room one sees the devices of the readers that one may read. */
function isShown({ recipient, reader }: PushSubscription, { read }: Identity): boolean {
  return read.has(recipient) && read.has(reader);
}

/** Whether a client may end what a device follows: whoever knows its endpoint, a secret, and may read one of its inboxes. */
function mayEnd(
  { read }: Identity,
  store: PushStore,
  endpoint: string,
  recipient: string | undefined,
): boolean {
  if (recipient !== undefined) return read.has(recipient) && store.has(recipient, endpoint);
  return store.inboxesOf(endpoint, MOST_INBOXES).some((inbox) => read.has(inbox));
}

/** @param errors takes each field that is not known */
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

import { ADDRESS, addressFault, EVERYTHING } from '../address.ts';
import { BOOLEAN } from '../rule.ts';
import { listOf, named, type Schema } from '../schema.ts';
import { AddressSet } from './address-set.ts';
import type { TrustedKey } from './trusted-key.ts';

/** The time for which a token is valid. */
export interface Term {
  /** The end of the token, in milliseconds since the Unix epoch; `undefined` in open mode. */
  readonly expiresAt: number | undefined;
  /** The key that verified the token; `undefined` in open mode. */
  readonly key: TrustedKey | undefined;
}

/** Returns whether a token is no longer valid: it has expired, or its key was removed. */
export function hasEnded({ expiresAt = Infinity, key }: Term, now: number): boolean {
  return expiresAt <= now || key?.isRevoked === true;
}

/** The client that makes a request, and its permissions. */
export interface Identity extends Term {
  /** The token's `sub`; `undefined` in open mode, in which clients have no names. */
  readonly client: string | undefined;
  readonly sendAs: AddressSet;
  readonly sendTo: AddressSet;
  /** The inboxes that it may read: streams, polls, history, conversations. */
  readonly read: AddressSet;
  readonly presence: AddressSet;
  /** Messages a second, instead of the configured rate. */
  readonly rate: number | undefined;
  readonly metrics: boolean;
}

const everything = new AddressSet([EVERYTHING]);

/** The identity of all clients in open mode: they may do everything. */
export const EVERYBODY: Identity = {
  client: undefined,
  sendAs: everything,
  sendTo: everything,
  read: everything,
  presence: everything,
  rate: undefined,
  metrics: true,
  expiresAt: undefined,
  key: undefined,
};

/** The latest time that a `Date` can hold, in seconds. */
const MAX_SECONDS = 8.64e12;
const MAX_RATE = 1_000_000;

/** A list of addresses in a claim. An entry with `*` at its end is a prefix. */
const ADDRESS_LIST: Schema = listOf({ type: 'string', minLength: 1, maxLength: 128 });

/** The grants of a token, by their names in the claim `tidings`. */
export const GRANTS = {
  sendAs: {
    description: 'The addresses that the client may send as; by default its `sub`.',
    schema: ADDRESS_LIST,
  },
  sendTo: {
    description: 'The addresses that the client may send to; by default none.',
    schema: ADDRESS_LIST,
  },
  read: {
    description:
      'The addresses whose messages the client may read: streams, polls, history, conversations, notifications; by default its `sub`.',
    schema: ADDRESS_LIST,
  },
  presence: {
    description: 'The addresses whose presence the client may see; by default those of `read`.',
    schema: ADDRESS_LIST,
  },
  rate: {
    description: 'The messages a second that the client may publish, instead of `PUBLISH_RATE`.',
    schema: { type: 'number', exclusiveMinimum: 0, maximum: MAX_RATE },
  },
  metrics: { description: 'Whether the client may see the metrics and the cluster.', schema: BOOLEAN.schema },
} as const satisfies Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;

export type Grant = keyof typeof GRANTS;

/** The claims of a token that this service reads. */
export const CLAIMS_SCHEMA: Schema = {
  type: 'object',
  properties: {
    sub: { ...ADDRESS.schema, description: 'The address of the client.' },
    exp: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: MAX_SECONDS,
      description: 'The time at which the token expires, in seconds since 1970.',
    },
    tidings: named('GrantClaim'),
  },
  required: ['sub', 'exp'],
};

/**
 * Returns the identity in the claims of a verified token. A token allows only what it names: without lists it sends as
 * its `sub`, to nobody, and reads its `sub`; `presence` defaults to `read`.
 *
 * @param key the key that verified the token
 * @throws {RangeError} if a claim is malformed: a typo must neither grant nor withhold anything
 */
export function identityOf(claims: Readonly<Record<string, unknown>>, key?: TrustedKey): Identity {
  const { sub, exp } = claims;
  const fault = addressFault(sub);
  if (fault !== undefined) throw new RangeError(`"sub" ${fault}: it is the address of the client`);
  if (typeof exp !== 'number' || !(exp > 0 && exp <= MAX_SECONDS)) {
    throw new RangeError('"exp" must be the time at which it expires, in seconds since 1970');
  }
  const grants = readGrants(claims['tidings']);
  const own = new AddressSet([sub as string]);
  const read = readAddresses(grants, 'read') ?? own;
  return {
    client: sub as string,
    sendAs: readAddresses(grants, 'sendAs') ?? own,
    sendTo: readAddresses(grants, 'sendTo') ?? new AddressSet([]),
    read,
    presence: readAddresses(grants, 'presence') ?? read,
    rate: readRate(grants.get('rate')),
    metrics: readMetrics(grants.get('metrics')),
    expiresAt: Math.floor(exp * 1000),
    key,
  };
}

function readGrants(claim: unknown): ReadonlyMap<string, unknown> {
  if (claim === undefined) return new Map();
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) {
    throw new RangeError('"tidings" must be an object');
  }
  const grants = new Map<string, unknown>(Object.entries(claim));
  const unknown = [...grants.keys()].find((name) => !Object.hasOwn(GRANTS, name));
  if (unknown === undefined) return grants;
  throw new RangeError(
    `"tidings" must not have ${JSON.stringify(unknown.slice(0, 100))}; it takes ${Object.keys(GRANTS).join(', ')}`,
  );
}

function readAddresses(grants: ReadonlyMap<string, unknown>, name: string): AddressSet | undefined {
  if (!grants.has(name)) return undefined;
  const list = grants.get(name);
  if (!Array.isArray(list) || !list.every((entry) => typeof entry === 'string')) {
    throw new RangeError(`"tidings.${name}" must be a list of addresses, or of prefixes that end in "*"`);
  }
  try {
    return new AddressSet(list);
  } catch (error) {
    throw new RangeError(
      `"tidings.${name}" has an entry that is not an address: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

function readRate(rate: unknown): number | undefined {
  if (rate === undefined || (typeof rate === 'number' && rate > 0 && rate <= MAX_RATE)) return rate;
  throw new RangeError(`"tidings.rate" must be messages a second: a number above 0, up to ${MAX_RATE}`);
}

function readMetrics(metrics: unknown): boolean {
  if (metrics === undefined || typeof metrics === 'boolean') return metrics === true;
  throw new RangeError('"tidings.metrics" must be true or false');
}

import { addressFault, EVERYTHING } from '../address.ts';
import { AddressSet } from './address-set.ts';
import type { TrustedKey } from './trusted-key.ts';

/** How long what a token allows holds. */
export interface Term {
  /** When the token ends, as milliseconds since the Unix epoch; `undefined` in open mode. */
  readonly expiresAt: number | undefined;
  /** What the token was verified with; `undefined` in open mode. */
  readonly key: TrustedKey | undefined;
}

/** Says whether what a token allows has ended: it has expired, or its key was removed. */
export function hasEnded({ expiresAt = Infinity, key }: Term, now: number): boolean {
  return expiresAt <= now || key?.isRevoked === true;
}

/** Who makes a request, and what they may do. */
export interface Identity extends Term {
  /** The token's `sub`; `undefined` in open mode, where nobody says who they are. */
  readonly client: string | undefined;
  readonly sendAs: AddressSet;
  readonly sendTo: AddressSet;
  /** Whose inboxes: streams, polls, history, conversations. */
  readonly read: AddressSet;
  readonly presence: AddressSet;
  /** Messages a second, in place of the configured rate. */
  readonly rate: number | undefined;
  readonly metrics: boolean;
}

const everything = new AddressSet([EVERYTHING]);

/** Everybody, in open mode: they may do everything. */
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

const GRANTS = ['sendAs', 'sendTo', 'read', 'presence', 'rate', 'metrics'];

/** The last moment that a `Date` has, in seconds. */
const MOST_SECONDS = 8.64e12;
const MOST_RATE = 1_000_000;

/**
 * Reads the claims of a token whose signature is good. What it does not name, it does not allow: without a list it
 * sends as its `sub`, to nobody, and reads its `sub`; presence is as `read`.
 *
 * @param key what the token was verified with
 * @throws {RangeError} if a claim does not have its form: a typo must not pass as a grant, nor as the lack of one
 */
export function identityOf(claims: Readonly<Record<string, unknown>>, key?: TrustedKey): Identity {
  const { sub, exp } = claims;
  const fault = addressFault(sub);
  if (fault !== undefined) throw new RangeError(`"sub" ${fault}: it is the address of the client`);
  if (typeof exp !== 'number' || !(exp > 0 && exp <= MOST_SECONDS)) {
    throw new RangeError('"exp" must be the seconds from 1970 to its end');
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
  const unknown = [...grants.keys()].find((name) => !GRANTS.includes(name));
  if (unknown === undefined) return grants;
  throw new RangeError(
    `"tidings" must not have ${JSON.stringify(unknown.slice(0, 100))}; it takes ${GRANTS.join(', ')}`,
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
    throw new RangeError(`"tidings.${name}" has an entry that is no address: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function readRate(rate: unknown): number | undefined {
  if (rate === undefined || (typeof rate === 'number' && rate > 0 && rate <= MOST_RATE)) return rate;
  throw new RangeError(`"tidings.rate" must be messages a second: a number above 0, up to ${MOST_RATE}`);
}

function readMetrics(metrics: unknown): boolean {
  if (metrics === undefined || typeof metrics === 'boolean') return metrics === true;
  throw new RangeError('"tidings.metrics" must be true or false');
}

import { setImmediate } from 'node:timers/promises';
import { type CryptoKey, importJWK, type JWK } from 'jose';
import { TrustedKey } from './trusted-key.ts';

/** The key that a token's header names. */
export interface KeyName {
  readonly alg?: string | undefined;
  /** Any value but a string counts as none. */
  readonly kid?: unknown;
}

/** A key of a set that is not used, and the reason for the operator. */
export interface IgnoredKey {
  readonly kid: string | undefined;
  readonly why: string;
  /** Whether it is an exposed secret: any reader of the set can sign tokens with it. */
  readonly secret: boolean;
}

/** A typical set has a handful. Indexing this many takes half a second. */
const MAX_KEYS = 5000;

/** A stranger's token costs at most this many signature checks. */
const MAX_CANDIDATES = 8;

/** RFC 7518 §3.3 sets the minimum. Longer keys and larger exponents are slow to check. */
const RSA_BITS = { min: 2048, max: 8192 };
const MAX_EXPONENT_BYTES = 4;

/** Many keys are imported in pieces of this length, so that requests are served meanwhile. */
const PIECE_MILLISECONDS = 5;

/** The imported public keys of a JSON Web Key Set (RFC 7517 §5), by the names in tokens. */
export class VerificationKeys {
  /** The number of keys that can be used. */
  readonly size: number;
  readonly ignored: readonly IgnoredKey[];
  /** Keys by algorithm, `kid` and material. */
  readonly trusted: ReadonlyMap<string, TrustedKey>;
  readonly #candidates: ReadonlyMap<string, readonly TrustedKey[]>;

  private constructor(
    size: number,
    ignored: readonly IgnoredKey[],
    trusted: ReadonlyMap<string, TrustedKey>,
    candidates: ReadonlyMap<string, readonly TrustedKey[]>,
  ) {
    this.size = size;
    this.ignored = ignored;
    this.trusted = trusted;
    this.#candidates = candidates;
  }

  /**
   * Imports the keys of a set. Unusable keys are ignored (RFC 7517 §5). So are private and symmetric ones: an exposed
   * key must not sign tokens. A set without keys is valid.
   *
   * @param known the keys of the previous set: a key in both stays the same object
   * @throws {Error} if it is not a set, or has too many keys
   */
  static async import(
    set: unknown,
    known: ReadonlyMap<string, TrustedKey> = new Map(),
  ): Promise<VerificationKeys> {
    const keys: unknown = (set as { keys?: unknown } | null)?.keys;
    if (!Array.isArray(keys)) throw new Error('it is not a JSON Web Key Set: it needs a list "keys"');
    if (keys.length > MAX_KEYS)
      throw new Error(`it has ${keys.length} keys; at most ${MAX_KEYS} are allowed`);
    const trusted = new Map<string, TrustedKey>();
    const candidates = new Map<string, TrustedKey[]>();
    const ignored: IgnoredKey[] = [];
    let pieceEnd = performance.now() + PIECE_MILLISECONDS;
    for (const jwk of keys as unknown[]) {
      if (performance.now() > pieceEnd) {
        await setImmediate();
        pieceEnd = performance.now() + PIECE_MILLISECONDS;
      }
      try {
        const { alg, kid, name, key: imported } = await importPublic(jwk);
        const key = trusted.get(name) ?? known.get(name) ?? new TrustedKey(imported);
        trusted.set(name, key);
        for (const keyName of kid === undefined ? [alg] : [alg, `${alg} ${kid}`]) {
          const found = candidates.get(keyName) ?? [];
          if (found.length < MAX_CANDIDATES) candidates.set(keyName, [...found, key]);
        }
      } catch (error) {
        ignored.push({
          kid: textOf(jwk, 'kid')?.slice(0, 100),
          why: (error as Error).message,
          secret: isSecret(jwk),
        });
      }
    }
    return new VerificationKeys(keys.length - ignored.length, ignored, trusted, candidates);
  }

  /**
   * Returns the keys that may have signed a token, in the order of the set: those of its algorithm and `kid`, or
   * without `kid` all of its algorithm; in both cases the first 8. Empty if there is none.
   */
  candidates({ alg = '', kid }: KeyName): readonly TrustedKey[] {
    return this.#candidates.get(typeof kid === 'string' ? `${alg} ${kid}` : alg) ?? [];
  }
}

/** Imports a public key. @throws {Error} with the reason why it cannot be used */
async function importPublic(
  jwk: unknown,
): Promise<{ alg: string; kid: string | undefined; name: string; key: CryptoKey }> {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw new Error('it is not an object');
  if (isSecret(jwk)) throw new Error('it is private or symmetric: only public keys belong in a set');
  const { alg, key } = algorithmOf(jwk);
  const { kid, use, key_ops: operations, alg: meant } = jwk as Record<string, unknown>;
  if (kid !== undefined && typeof kid !== 'string') throw new Error('its "kid" is not a string');
  if (use !== undefined && use !== 'sig') throw new Error('its "use" is not "sig"');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new Error('its "key_ops" do not include "verify"');
  }
  if (meant !== undefined && meant !== alg) throw new Error(`its "alg" is not "${alg}"`);
  let imported: CryptoKey | Uint8Array;
  try {
    imported = await importJWK(key, alg);
  } catch (error) {
    throw new Error(`it is not a key of ${alg}`, { cause: error });
  }
  if (imported instanceof Uint8Array) throw new Error(`it is not a key of ${alg}`);
  if (alg === 'RS256') checkRsa(imported);
  return { alg, kid, name: JSON.stringify([alg, kid, key]), key: imported };
}

/** Returns the algorithm of a key, and the parameters that make it up. */
function algorithmOf(jwk: object): { alg: string; key: JWK } {
  const kty = textOf(jwk, 'kty');
  const crv = textOf(jwk, 'crv');
  const part = (name: string): string => textOf(jwk, name) ?? '';
  if (kty === 'RSA') return { alg: 'RS256', key: { kty, n: part('n'), e: part('e') } };
  if (kty === 'EC' && crv === 'P-256') return { alg: 'ES256', key: { kty, crv, x: part('x'), y: part('y') } };
  if (kty === 'OKP' && crv === 'Ed25519') return { alg: 'EdDSA', key: { kty, crv, x: part('x') } };
  throw new Error('it is neither RSA, nor EC on P-256, nor Ed25519');
}

function checkRsa(key: CryptoKey): void {
  const algorithm: object = key.algorithm;
  const { modulusLength, publicExponent } = algorithm as {
    modulusLength: number;
    publicExponent: Uint8Array;
  };
  if (modulusLength < RSA_BITS.min || modulusLength > RSA_BITS.max) {
    throw new Error(`it has ${modulusLength} bits; it must have ${RSA_BITS.min} to ${RSA_BITS.max}`);
  }
  const exponent =
    publicExponent.length > MAX_EXPONENT_BYTES
      ? NaN
      : Number(`0x${Buffer.from(publicExponent).toString('hex')}`);
  if (!(exponent >= 3) || exponent % 2 === 0) throw new Error('its "e" must be odd, from 3 to 4294967295');
}

/** Returns whether a key is private or symmetric. */
function isSecret(jwk: unknown): boolean {
  return textOf(jwk, 'kty') === 'oct' || ['d', 'p', 'q', 'k'].some((name) => has(jwk, name));
}

function has(jwk: unknown, name: string): boolean {
  return typeof jwk === 'object' && jwk !== null && Object.hasOwn(jwk, name);
}

function textOf(jwk: unknown, name: string): string | undefined {
  const value: unknown = has(jwk, name) ? (jwk as Record<string, unknown>)[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

import { type CryptoKey, errors, type JWSHeaderParameters, jwtVerify } from 'jose';
import { type Identity, identityOf } from './identity.ts';
import { type KeySet, KeysUnavailable } from './key-set.ts';

/** A token that is not taken. The message says why, in words for whoever sent it. */
export class TokenRefused extends Error {
  /** Whether it was good, and its time is over: a new one will do. */
  readonly expired: boolean;
  constructor(why: string, { expired = false } = {}) {
    super(why);
    this.name = 'TokenRefused';
    this.expired = expired;
  }
}

/** What tokens are checked with. */
export interface TokenKeys {
  /** Of HS256 tokens. */
  readonly secret: Uint8Array | undefined;
  /** Of RS256, ES256 and EdDSA tokens. */
  readonly keySet: KeySet | undefined;
  /** What `iss` and `aud` have to be; `undefined` where that is left open. */
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

const SECRET_ALGORITHM = 'HS256';
const KEY_SET_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** An issuer's clock may be ahead by this much (`nbf`, RFC 7519 §4.1.5); `exp` is taken to the letter. */
const CLOCK_TOLERANCE_SECONDS = 5;

/**
 * Checks JSON Web Tokens (RFC 7519). The kind of key fixes the algorithm, whatever the token claims (RFC 8725 §3.1): a
 * public key is never taken for a secret.
 */
export class Tokens {
  readonly #keys: TokenKeys;
  readonly #algorithms: string[];
  readonly #now: () => number;

  /** @param now milliseconds since the Unix epoch */
  constructor(keys: TokenKeys, now: () => number) {
    this.#keys = keys;
    this.#now = now;
    this.#algorithms = [
      ...(keys.secret === undefined ? [] : [SECRET_ALGORITHM]),
      ...(keys.keySet === undefined ? [] : KEY_SET_ALGORITHMS),
    ];
  }

  /**
   * Says who sends a token.
   *
   * @throws {TokenRefused} where it is none, or not good, or over
   * @throws {KeysUnavailable} where it cannot be checked now
   */
  async identify(token: string): Promise<Identity> {
    const identity = await this.#verify(token);
    if (this.isExpired(identity)) throw expired();
    return identity;
  }

  /** Whether the token of an identity has expired by now. */
  isExpired({ expiresAt }: Identity): boolean {
    return expiresAt !== undefined && expiresAt <= this.#now();
  }

  async #verify(token: string): Promise<Identity> {
    const { issuer, audience } = this.#keys;
    const rules = {
      algorithms: this.#algorithms,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#now()),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    try {
      return identityOf((await this.#verifyWithOneOf(token, rules)).payload);
    } catch (error) {
      throw error instanceof KeysUnavailable ? error : refusalOf(error);
    }
  }

  /** Tries the keys that may have signed a token, one after the other. */
  async #verifyWithOneOf(
    token: string,
    rules: Parameters<typeof jwtVerify>[2],
  ): Promise<Awaited<ReturnType<typeof jwtVerify>>> {
    let others: readonly CryptoKey[] = [];
    // Asked for a key once the form and the algorithm of the token are known to be good.
    const findFirst = async (header: JWSHeaderParameters): Promise<CryptoKey | Uint8Array> => {
      const { secret, keySet } = this.#keys;
      if (secret !== undefined && header.alg === SECRET_ALGORITHM) return secret;
      const [first, ...rest] = (await keySet?.candidates(header)) ?? [];
      if (first === undefined) throw new errors.JWKSNoMatchingKey();
      others = rest;
      return first;
    };
    try {
      return await jwtVerify(token, findFirst, rules);
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      for (const key of others) {
        try {
          return await jwtVerify(token, key, rules);
        } catch (mismatch) {
          if (!(mismatch instanceof errors.JWSSignatureVerificationFailed)) throw mismatch;
        }
      }
      throw error;
    }
  }
}

function expired(): TokenRefused {
  return new TokenRefused('The token is over ("exp"); get a new one', { expired: true });
}

/** In words for whoever sent the token: what is wrong with it, and nothing of the keys. */
function refusalOf(error: unknown): TokenRefused {
  if (error instanceof errors.JWTExpired) return expired();
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new TokenRefused(
      `The token's claim "${error.claim}" is ${error.reason === 'missing' ? 'missing' : 'not as it must be'}`,
    );
  }
  if (error instanceof RangeError) return new TokenRefused(`The token's claim ${error.message}`);
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new TokenRefused('The token is signed with an algorithm that none of the configured keys has');
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return new TokenRefused('The token is not signed with a key that is known here');
  }
  return new TokenRefused('The token is no signed JSON Web Token that can be checked');
}

import { type CryptoKey, errors, type JWSHeaderParameters, type JWTPayload, jwtVerify } from 'jose';
import { hasEnded, type Identity, identityOf } from './identity.ts';
import { type KeySet, KeysUnavailable } from './key-set.ts';
import type { SecretKeys } from './secret-keys.ts';
import type { TrustedKey } from './trusted-key.ts';

/** A token that is not accepted. The message says why, in words for whoever sent it. */
export class TokenRefused extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'TokenRefused';
  }
}

/** What tokens are checked with. */
export interface TokenKeys {
  /** Of HS256 tokens. */
  readonly secrets: SecretKeys | undefined;
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
      ...(keys.secrets === undefined ? [] : [SECRET_ALGORITHM]),
      ...(keys.keySet === undefined ? [] : KEY_SET_ALGORITHMS),
    ];
  }

  /**
   * Says who sends a token.
   *
   * @throws {TokenRefused} if it is none, or not good, or has ended
   * @throws {KeysUnavailable} if it cannot be checked now
   */
  async identify(token: string): Promise<Identity> {
    const identity = await this.#verify(token);
    this.recheck(identity);
    return identity;
  }

  /**
   * Makes sure that a token that was good is good still.
   *
   * @throws {TokenRefused} if it has expired, or its key was removed
   */
  recheck(identity: Identity): void {
    if (!hasEnded(identity, this.#now())) return;
    throw identity.key?.isRevoked === true ? unknownKey() : expired();
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
      const { payload, key } = await this.#verifyWithOneOf(token, rules);
      return identityOf(payload, key);
    } catch (error) {
      throw error instanceof KeysUnavailable ? error : refusalOf(error);
    }
  }

  /** Tries the keys that may have signed a token, one after the other. */
  async #verifyWithOneOf(
    token: string,
    rules: Parameters<typeof jwtVerify>[2],
  ): Promise<{ payload: JWTPayload; key: TrustedKey | undefined }> {
    let candidates: Iterator<TrustedKey> | undefined;
    let key: TrustedKey | undefined;
    // Asked for a key once the form and the algorithm of the token are known to be good.
    const next = async (header: JWSHeaderParameters): Promise<CryptoKey> => {
      candidates ??= (await this.#candidates(header))[Symbol.iterator]();
      key = candidates.next().value as TrustedKey | undefined;
      if (key === undefined) throw new errors.JWKSNoMatchingKey();
      return key.key;
    };
    for (;;) {
      try {
        const { payload } = await jwtVerify(token, next, rules);
        return { payload, key };
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
  }

  async #candidates(header: JWSHeaderParameters): Promise<readonly TrustedKey[]> {
    const { secrets, keySet } = this.#keys;
    if (secrets !== undefined && header.alg === SECRET_ALGORITHM) return secrets.candidates;
    return (await keySet?.candidates(header)) ?? [];
  }
}

function expired(): TokenRefused {
  return new TokenRefused('The token has expired ("exp"); get a new one');
}

function unknownKey(): TokenRefused {
  return new TokenRefused('The token is not signed with a key that is known here');
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
  if (error instanceof errors.JWKSNoMatchingKey) return unknownKey();
  return new TokenRefused('The token is not a valid signed JSON Web Token');
}

import { type CryptoKey, errors, type JWSHeaderParameters, type JWTPayload, jwtVerify } from 'jose';
import { hasEnded, type Identity, identityOf } from './identity.ts';
import { type KeySet, KeysUnavailable } from './key-set.ts';
import type { SecretKeys } from './secret-keys.ts';
import type { TrustedKey } from './trusted-key.ts';

/** The error of a token that is not accepted. The message tells its sender why. */
export class TokenRefused extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'TokenRefused';
  }
}

/** The keys and claims that tokens are checked against. */
export interface TokenKeys {
  /** For HS256 tokens. */
  readonly secrets: SecretKeys | undefined;
  /** For RS256, ES256 and EdDSA tokens. */
  readonly keySet: KeySet | undefined;
  /** The required `iss` and `aud`; `undefined` if any is allowed. */
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

const SECRET_ALGORITHM = 'HS256';
const KEY_SET_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** An issuer's clock may be ahead by this much (`nbf`, RFC 7519 §4.1.5); `exp` has no tolerance. */
const CLOCK_TOLERANCE_SECONDS = 5;

/**
 * The verifier of JSON Web Tokens (RFC 7519). The kind of key fixes the algorithm, whatever the token claims (RFC 8725
 * §3.1): a public key is never used as a secret.
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
   * Imports and fetches the keys, and starts to read them again as they rotate.
   *
   * @returns settles when tokens can be checked, or `stop` was called
   * @throws {StartError} if the file of the keys cannot be used
   */
  async start(): Promise<void> {
    await this.#keys.secrets?.start();
    await this.#keys.keySet?.start();
  }

  /** Stops reading keys, also a read that is under way. The known keys stay in use. */
  stop(): void {
    this.#keys.secrets?.stop();
    this.#keys.keySet?.stop();
  }

  /**
   * Returns the identity of a token.
   *
   * @throws {TokenRefused} if it is malformed or invalid, or has ended
   * @throws {KeysUnavailable} if it cannot be checked now
   */
  async identify(token: string): Promise<Identity> {
    const identity = await this.#verify(token);
    this.recheck(identity);
    return identity;
  }

  /**
   * Checks that a token is still valid.
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

  /** Verifies a token with each key that may have signed it, in turn. */
  async #verifyWithOneOf(
    token: string,
    rules: Parameters<typeof jwtVerify>[2],
  ): Promise<{ payload: JWTPayload; key: TrustedKey | undefined }> {
    let candidates: Iterator<TrustedKey> | undefined;
    let key: TrustedKey | undefined;
    // Called when the form and the algorithm of the token have been checked.
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
  return new TokenRefused('The token is not signed with a known key');
}

/** Tells the sender of a token what is wrong with it, and nothing about the keys. */
function refusalOf(error: unknown): TokenRefused {
  if (error instanceof errors.JWTExpired) return expired();
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new TokenRefused(
      `The token's claim "${error.claim}" is ${error.reason === 'missing' ? 'missing' : 'not accepted'}`,
    );
  }
  if (error instanceof RangeError) return new TokenRefused(`The token's claim ${error.message}`);
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new TokenRefused('The token is signed with an algorithm that no configured key uses');
  }
  if (error instanceof errors.JWKSNoMatchingKey) return unknownKey();
  return new TokenRefused('The token is not a valid signed JSON Web Token');
}

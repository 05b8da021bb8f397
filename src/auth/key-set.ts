import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import type { Logger } from 'pino';

/** What finds the key that a token names (`jose`). */
type FindKey = ReturnType<typeof createLocalJWKSet>;
type Key = Awaited<ReturnType<FindKey>>;

/** The keys cannot be had now; tokens can be neither taken nor refused. */
export class KeysUnavailable extends Error {
  constructor(cause: unknown) {
    super('the keys that tokens are checked with cannot be had', { cause });
    this.name = 'KeysUnavailable';
  }
}

/** How often keys are read again: one that was taken away stops working within this time. */
const REFRESH_MILLISECONDS = { file: 30_000, url: 300_000 };

/** A token of an unknown key makes them be read at once, but not more often than this: anybody can send such a token. */
const COOLDOWN_MILLISECONDS = { file: 1000, url: 30_000 };

const FETCH_MILLISECONDS = 5000;

/**
 * A JSON Web Key Set (RFC 7517 §5) from a file or an https URL, read again as it is rotated. Where it cannot be read
 * again, the keys that it had go on working: an issuer that is down does not end the service.
 */
export class KeySet {
  readonly #source: string | URL;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #cooldown: number;
  #keys: FindKey | undefined;
  #loading: Promise<void> | undefined;
  #loadedAt = -Infinity;

  /** @param source the path of a file, or an https URL */
  constructor(source: string | URL, logger: Logger) {
    this.#source = source;
    this.#logger = logger;
    const kind = typeof source === 'string' ? 'file' : 'url';
    this.#cooldown = COOLDOWN_MILLISECONDS[kind];
    this.#timer = setInterval(() => void this.refresh(), REFRESH_MILLISECONDS[kind]);
    this.#timer.unref();
  }

  /** Reads the keys anew. @throws what the file or the network says, or that it is no key set for verifying */
  load(): Promise<void> {
    this.#loading ??= this.#read()
      .then((set) => {
        this.#keys = keysOf(set);
        this.#loadedAt = performance.now();
      })
      .finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** Reads the keys anew; where that fails, it is logged, and those that are there stay. */
  async refresh(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      this.#logger.error({ err: error }, 'AUTH_JWKS cannot be read: the keys that are known stay in use');
    }
  }

  /**
   * Finds the key of a token, reading the set again where it is not among those known.
   *
   * @throws {errors.JOSEError} where the set has no such key
   * @throws {KeysUnavailable} where there is no set
   */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
    if (this.#keys === undefined) await this.#loadOrFail();
    try {
      return await this.#known(header, token);
    } catch (error) {
      const stale = performance.now() - this.#loadedAt >= this.#cooldown;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !stale) throw error;
      await this.#loadOrFail();
      return this.#known(header, token);
    }
  }

  #known(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
    if (this.#keys === undefined) throw new KeysUnavailable(undefined);
    return this.#keys(header, token);
  }

  async #loadOrFail(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      this.#logger.error(
        { err: error },
        'AUTH_JWKS cannot be read: a token of an unknown key cannot be checked',
      );
      throw new KeysUnavailable(error);
    }
  }

  async #read(): Promise<unknown> {
    if (typeof this.#source === 'string') return JSON.parse(await readFile(this.#source, 'utf8')) as unknown;
    const response = await fetch(this.#source, {
      headers: { Accept: 'application/jwk-set+json, application/json' },
      // To another host would be to trust that one.
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_MILLISECONDS),
    });
    if (response.status !== 200) throw new Error(`the answer has status ${response.status}`);
    return response.json();
  }
}

/** Takes a set of public keys. One with a secret in it would let whoever reads the set make tokens. */
function keysOf(set: unknown): FindKey {
  const keys: unknown = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0) throw new Error('it is no JSON Web Key Set with keys in it');
  for (const key of keys as ({ kty?: unknown; d?: unknown } | null)[]) {
    if (key?.d !== undefined || key?.kty === 'oct') {
      throw new Error('it has a private or symmetric key; only public keys belong there');
    }
  }
  return createLocalJWKSet(set as Parameters<typeof createLocalJWKSet>[0]);
}

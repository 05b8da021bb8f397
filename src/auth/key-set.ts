import { readFile } from 'node:fs/promises';
import { get } from 'node:https';
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

/** Without any key no token can be checked, so they are asked for more often; not for each token, all the same. */
const COOLDOWN_WITHOUT_KEYS_MILLISECONDS = 1000;

const FETCH_MILLISECONDS = 5000;

/** A set has some kilobytes. */
const MAX_LENGTH = 1024 * 1024;

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
  #triedAt = -Infinity;
  /** Why the newest try failed; `undefined` where it did not. */
  #failure: unknown;

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
        this.#failure = undefined;
      })
      .catch((error: unknown) => {
        this.#failure = error;
        throw error;
      })
      .finally(() => {
        this.#loading = undefined;
        this.#triedAt = performance.now();
      });
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
   * @throws {KeysUnavailable} where there is no set, or the key may be in a newer one that cannot be read
   */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
    if (this.#keys === undefined) await this.#readAgain(COOLDOWN_WITHOUT_KEYS_MILLISECONDS);
    try {
      return await this.#known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#readAgain(this.#cooldown);
      return this.#known(header, token);
    }
  }

  #known(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
    if (this.#keys === undefined) throw new KeysUnavailable(undefined);
    return this.#keys(header, token);
  }

  /** Reads the keys anew, unless that was tried within the cooldown: a source that fails is not to be flooded either. */
  async #readAgain(cooldown: number): Promise<void> {
    if (this.#loading === undefined && performance.now() - this.#triedAt < cooldown) {
      if (this.#failure !== undefined) throw new KeysUnavailable(this.#failure);
      return;
    }
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
    return JSON.parse(await fetchText(this.#source)) as unknown;
  }
}

/**
 * Gets a text over https. Not by `fetch`, whose signal can be collected before the body has come, which then takes for
 * ever. A redirect is not followed: to another host would be to trust that one.
 */
function fetchText(url: URL): Promise<string> {
  const headers = { Accept: 'application/jwk-set+json, application/json' };
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) => {
      const fail = (why: string): void => void request.destroy(new Error(why));
      let text = '';
      response.on('error', reject);
      if (response.statusCode !== 200) fail(`the answer has status ${response.statusCode ?? 'none'}`);
      response
        .setEncoding('utf8')
        .on('data', (part: string) => {
          text += part;
          if (text.length > MAX_LENGTH) fail(`the answer is over ${MAX_LENGTH} characters`);
        })
        .on('end', () => resolve(text));
    });
    const late = new Error(`no whole answer came in ${FETCH_MILLISECONDS} ms`);
    const timer = setTimeout(() => request.destroy(late), FETCH_MILLISECONDS);
    request.on('error', reject).on('close', () => clearTimeout(timer));
  });
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

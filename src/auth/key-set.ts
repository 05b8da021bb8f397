import { get } from 'node:https';
import type { Logger } from 'pino';
import { StartError } from '../start-error.ts';
import { readKeyFile, Rotation } from './rotation.ts';
import { revokeRemoved, type TrustedKey } from './trusted-key.ts';
import { type KeyName, VerificationKeys } from './verification-keys.ts';

/** The error if no keys can be read now: tokens can be neither accepted nor refused. */
export class KeysUnavailable extends Error {
  constructor(cause: unknown) {
    super('the keys that tokens are checked with cannot be read', { cause });
    this.name = 'KeysUnavailable';
  }
}

/**
 * The set is read again when it is this old. A removed key stops working within 30 s (a file) or 5 minutes (a URL): that
 * leaves time to notice the age of the set and to read it.
 */
const REFRESH_MILLISECONDS = { file: 4000, url: 240_000 };
const LOOK_MILLISECONDS = 2000;

/** The wait after a failed attempt. */
const RETRY_MILLISECONDS = { file: 4000, url: 30_000 };

/** A token with an unknown key causes a read, at most this often: anybody can send such a token. */
const COOLDOWN_MILLISECONDS = { file: 1000, url: 30_000 };

/** Without any key no token can be checked, so the set is read more often, but not for each token. */
const COOLDOWN_WITHOUT_KEYS_MILLISECONDS = 1000;

const FETCH_MILLISECONDS = 5000;

/** A typical set has a few kilobytes. */
const MAX_LENGTH = 1024 * 1024;

/** The log names at most this many ignored keys. */
const MAX_NAMED = 5;

/**
 * A JSON Web Key Set (RFC 7517 §5) from a file or an https URL, read again as its keys rotate. If it cannot be read or
 * is malformed, the known keys stay in use: an issuer that is down must not end the service. A set without keys is
 * valid, and revokes all keys.
 */
export class KeySet {
  readonly #logger: Logger;
  readonly #source: string | URL;
  readonly #kind: 'file' | 'url';
  readonly #rotation: Rotation;
  #keys: VerificationKeys | undefined;
  /** Whether `start` has read the first set, whose problems it reports itself. */
  #isOpen = false;

  /** @param source the path of a file, or an https URL */
  constructor(source: string | URL, logger: Logger) {
    this.#source = source;
    this.#logger = logger;
    this.#kind = typeof source === 'string' ? 'file' : 'url';
    const read = (signal: AbortSignal): Promise<Buffer> =>
      typeof source === 'string' ? readKeyFile(source, MAX_LENGTH) : fetchText(source, signal);
    const pace = {
      look: LOOK_MILLISECONDS,
      refresh: REFRESH_MILLISECONDS[this.#kind],
      retry: RETRY_MILLISECONDS[this.#kind],
    };
    this.#rotation = new Rotation(
      { name: 'AUTH_JWKS', read, take: (content) => this.#take(content) },
      pace,
      logger,
    );
  }

  /**
   * Reads the keys for the first time, and starts to read them again as they are rotated. If the keys of a URL cannot be
   * fetched yet, that is logged, and tokens cannot be checked until they can.
   *
   * @returns settles when the keys were read or could not be fetched, or `stop` was called
   * @throws {StartError} if they are in a file that cannot be used
   */
  async start(): Promise<void> {
    try {
      await this.#load();
    } catch (error) {
      if (this.#rotation.isStopped) return;
      if (typeof this.#source === 'string') {
        const why = (error as Error).message;
        throw new StartError(
          `AUTH_JWKS: ${this.#source} cannot be used (${why}). Set it to a file with public keys.`,
        );
      }
      this.#logger.error(
        { err: error },
        'AUTH_JWKS cannot be fetched yet: tokens cannot be checked until it can',
      );
    }
    this.#rotation.start();
  }

  /** Stops reading the keys, and aborts a read that is under way. The known keys stay in use. */
  stop(): void {
    this.#rotation.stop();
  }

  /** @throws {Error} if it cannot be read, is not a key set, or has only keys that cannot be used */
  async #load(): Promise<void> {
    try {
      await this.#rotation.load();
    } finally {
      this.#isOpen = true;
    }
    if (this.#keys === undefined) return;
    const [first] = this.#keys.ignored;
    if (this.#keys.size === 0 && first !== undefined) {
      throw new Error(`none of its keys can be used; the first: ${first.why}`);
    }
    this.#report(this.#keys);
  }

  /**
   * Returns the keys that may have signed a token. Reads the set again if none is known.
   *
   * @returns empty if the set has no such key
   * @throws {KeysUnavailable} if there is no set, or the key may be in a newer one that cannot be read
   */
  async candidates(name: KeyName): Promise<readonly TrustedKey[]> {
    if (this.#keys === undefined) await this.#readAgain(COOLDOWN_WITHOUT_KEYS_MILLISECONDS);
    const known = this.#known(name);
    if (known.length > 0) return known;
    await this.#readAgain(COOLDOWN_MILLISECONDS[this.#kind]);
    return this.#known(name);
  }

  #known(name: KeyName): readonly TrustedKey[] {
    if (this.#keys === undefined) throw new KeysUnavailable(undefined);
    return this.#keys.candidates(name);
  }

  /** Reads the keys again, unless that was tried within the cooldown: a failing source must not be flooded either. */
  async #readAgain(cooldown: number): Promise<void> {
    const rotation = this.#rotation;
    if (!rotation.isLoading && rotation.age < cooldown) {
      if (rotation.failure !== undefined) throw new KeysUnavailable(rotation.failure);
      return;
    }
    try {
      await rotation.loadAgain();
    } catch (error) {
      throw new KeysUnavailable(error);
    }
  }

  async #take(content: Buffer): Promise<void> {
    const before = this.#keys?.trusted ?? new Map<string, TrustedKey>();
    const keys = await VerificationKeys.import(JSON.parse(content.toString()) as unknown, before);
    this.#keys = keys;
    revokeRemoved(before, keys.trusted);
    if (this.#isOpen) this.#report(keys);
  }

  /** Logs the problems of a set, once for each set. */
  #report({ size, ignored }: VerificationKeys): void {
    const named = ignored.slice(0, MAX_NAMED).map(({ kid = '(no kid)', why }) => `${kid}: ${why}`);
    const facts = { usable: size, ignored: ignored.length, named };
    if (ignored.some(({ secret }) => secret)) {
      this.#logger.error(
        facts,
        'AUTH_JWKS has a private or symmetric key: anybody who can read it can make tokens. It is ignored; replace it at the issuer',
      );
    } else if (ignored.length > 0) {
      this.#logger.warn(facts, 'AUTH_JWKS has keys that cannot be used: they are ignored');
    }
    if (size === 0) this.#logger.warn('AUTH_JWKS has no key: tokens of its issuer are refused');
  }
}

/**
 * Fetches a text over https. It does not use `fetch`, whose signal can be garbage-collected before the body has arrived,
 * and then never fires. Redirects are not followed: that would mean trusting another host.
 */
function fetchText(url: URL, signal: AbortSignal): Promise<Buffer> {
  const headers = { Accept: 'application/jwk-set+json, application/json' };
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false, signal }, (response) => {
      const fail = (why: string): void => void request.destroy(new Error(why));
      let text = '';
      response.on('error', reject);
      if (response.statusCode !== 200) fail(`the answer has status ${response.statusCode ?? 'none'}`);
      response
        .setEncoding('utf8')
        .on('data', (part: string) => {
          text += part;
          if (text.length > MAX_LENGTH) fail(`the answer has more than ${MAX_LENGTH} characters`);
        })
        .on('end', () => resolve(Buffer.from(text)));
    });
    const late = new Error(`no complete answer came within ${FETCH_MILLISECONDS} ms`);
    const timer = setTimeout(() => request.destroy(late), FETCH_MILLISECONDS);
    request.on('error', reject).on('close', () => clearTimeout(timer));
  });
}

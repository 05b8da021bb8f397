import { get } from 'node:https';
import type { Logger } from 'pino';
import { readKeyFile, Rotation } from './rotation.ts';
import { revokeRemoved, type TrustedKey } from './trusted-key.ts';
import { type KeyName, VerificationKeys } from './verification-keys.ts';

/** The keys cannot be had now; tokens can be neither taken nor refused. */
export class KeysUnavailable extends Error {
  constructor(cause: unknown) {
    super('the keys that tokens are checked with cannot be had', { cause });
    this.name = 'KeysUnavailable';
  }
}

/**
 * A key that was taken away stops working within 30 s (a file) or 5 minutes (a URL): the set is read again when it is
 * this old. The rest of that time is for looking whether it is, and for reading it.
 */
const REFRESH_MILLISECONDS = { file: 4000, url: 240_000 };
const LOOK_MILLISECONDS = 2000;

/** After a try that failed, the next one comes sooner. */
const RETRY_MILLISECONDS = { file: 4000, url: 30_000 };

/** A token of an unknown key makes them be read at once, but not more often than this: anybody can send such a token. */
const COOLDOWN_MILLISECONDS = { file: 1000, url: 30_000 };

/** Without any key no token can be checked, so they are asked for more often; not for each token, all the same. */
const COOLDOWN_WITHOUT_KEYS_MILLISECONDS = 1000;

const FETCH_MILLISECONDS = 5000;

/** A set has some kilobytes. */
const MAX_LENGTH = 1024 * 1024;

/** So many of the ignored keys are named in the log. */
const MAX_NAMED = 5;

/**
 * A JSON Web Key Set (RFC 7517 §5) from a file or an https URL, read again as it is rotated. If it cannot be read again,
 * or is malformed, the keys that it had go on working: an issuer that is down does not end the service. A set without
 * keys is taken as it is: it has none.
 */
export class KeySet {
  readonly #logger: Logger;
  readonly #kind: 'file' | 'url';
  readonly #rotation: Rotation;
  #keys: VerificationKeys | undefined;
  /** Whether `open` has ended, which itself says what is wrong with the first set. */
  #isOpen = false;

  /** @param source the path of a file, or an https URL */
  constructor(source: string | URL, logger: Logger) {
    this.#logger = logger;
    this.#kind = typeof source === 'string' ? 'file' : 'url';
    const read = (): Promise<Buffer> =>
      typeof source === 'string' ? readKeyFile(source, MAX_LENGTH) : fetchText(source);
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
   * Reads the keys for the first time.
   *
   * @throws what the file or the network says, or that it is no key set, or has keys of which none can be used
   */
  async open(): Promise<void> {
    try {
      await this.#rotation.load();
    } finally {
      this.#isOpen = true;
    }
    if (this.#keys === undefined) return;
    const [first] = this.#keys.ignored;
    if (this.#keys.size === 0 && first !== undefined) {
      throw new Error(`none of its keys can be used: of the first, ${first.why}`);
    }
    this.#tell(this.#keys);
  }

  /**
   * Finds the keys that a token may be signed with, reading the set again if it is not among those known.
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

  /** Reads the keys again, unless that was tried within the cooldown: a source that fails is not to be flooded either. */
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
    if (this.#isOpen) this.#tell(keys);
  }

  /** Says once of each set what is wrong with it. */
  #tell({ size, ignored }: VerificationKeys): void {
    const named = ignored.slice(0, MAX_NAMED).map(({ kid = '(no kid)', why }) => `${kid}: ${why}`);
    const facts = { usable: size, ignored: ignored.length, named };
    if (ignored.some(({ secret }) => secret)) {
      this.#logger.error(
        facts,
        'AUTH_JWKS has a private or symmetric key, with which whoever reads it makes tokens: it is ignored; replace it at the issuer',
      );
    } else if (ignored.length > 0) {
      this.#logger.warn(facts, 'AUTH_JWKS has keys that cannot be used: they are ignored');
    }
    if (size === 0) this.#logger.warn('AUTH_JWKS has no key: tokens of its issuer are refused');
  }
}

/**
 * Gets a text over https. Not by `fetch`, whose signal can be collected before the body has come, which then takes for
 * ever. A redirect is not followed: to another host would be to trust that one.
 */
function fetchText(url: URL): Promise<Buffer> {
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
        .on('end', () => resolve(Buffer.from(text)));
    });
    const late = new Error(`no whole answer came in ${FETCH_MILLISECONDS} ms`);
    const timer = setTimeout(() => request.destroy(late), FETCH_MILLISECONDS);
    request.on('error', reject).on('close', () => clearTimeout(timer));
  });
}

import { readFile, stat } from 'node:fs/promises';
import { get } from 'node:https';
import type { CryptoKey } from 'jose';
import type { Logger } from 'pino';
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
  readonly #source: string | URL;
  readonly #logger: Logger;
  readonly #kind: 'file' | 'url';
  #keys: VerificationKeys | undefined;
  /** What the keys were read from. */
  #text: string | undefined;
  #isTold = false;
  #loading: Promise<void> | undefined;
  #triedAt = -Infinity;
  /** Why the newest try failed; `undefined` if it did not. */
  #failure: Error | undefined;

  /** @param source the path of a file, or an https URL */
  constructor(source: string | URL, logger: Logger) {
    this.#source = source;
    this.#logger = logger;
    this.#kind = typeof source === 'string' ? 'file' : 'url';
    setInterval(() => void this.#refresh(), LOOK_MILLISECONDS).unref();
  }

  /**
   * Reads the keys for the first time.
   *
   * @throws what the file or the network says, or that it is no key set, or has keys of which none can be used
   */
  async open(): Promise<void> {
    await this.#load();
    const [first] = this.#keys?.ignored ?? [];
    if (this.#keys?.size === 0 && first !== undefined) {
      throw new Error(`none of its keys can be used: of the first, ${first.why}`);
    }
    this.#tell();
  }

  /**
   * Finds the keys that a token may be signed with, reading the set again if it is not among those known.
   *
   * @returns empty if the set has no such key
   * @throws {KeysUnavailable} if there is no set, or the key may be in a newer one that cannot be read
   */
  async candidates(name: KeyName): Promise<readonly CryptoKey[]> {
    if (this.#keys === undefined) await this.#readAgain(COOLDOWN_WITHOUT_KEYS_MILLISECONDS);
    const known = this.#known(name);
    if (known.length > 0) return known;
    await this.#readAgain(COOLDOWN_MILLISECONDS[this.#kind]);
    return this.#known(name);
  }

  #known(name: KeyName): readonly CryptoKey[] {
    if (this.#keys === undefined) throw new KeysUnavailable(undefined);
    return this.#keys.candidates(name);
  }

  /** Reads the keys again when they are old. If that fails, those that are known stay. */
  async #refresh(): Promise<void> {
    const due = (this.#failure === undefined ? REFRESH_MILLISECONDS : RETRY_MILLISECONDS)[this.#kind];
    if (performance.now() - this.#triedAt >= due) await this.#loadAgain().catch(() => undefined);
  }

  /** Reads the keys again, unless that was tried within the cooldown: a source that fails is not to be flooded either. */
  async #readAgain(cooldown: number): Promise<void> {
    if (this.#loading === undefined && performance.now() - this.#triedAt < cooldown) {
      if (this.#failure !== undefined) throw new KeysUnavailable(this.#failure);
      return;
    }
    try {
      await this.#loadAgain();
    } catch (error) {
      throw new KeysUnavailable(error);
    }
  }

  async #loadAgain(): Promise<void> {
    const before = this.#failure?.message;
    try {
      await this.#load();
      this.#tell();
    } catch (error) {
      if ((error as Error).message !== before) {
        this.#logger.error({ err: error }, 'AUTH_JWKS cannot be read: the keys that are known stay in use');
      }
      throw error;
    }
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read()
      .then(() => {
        this.#failure = undefined;
      })
      .catch((error: unknown) => {
        this.#failure = error as Error;
        throw error;
      })
      .finally(() => {
        this.#loading = undefined;
        this.#triedAt = performance.now();
      });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const text = await (typeof this.#source === 'string' ? readText(this.#source) : fetchText(this.#source));
    if (text === this.#text) return;
    this.#keys = await VerificationKeys.import(JSON.parse(text) as unknown);
    this.#text = text;
    this.#isTold = false;
  }

  /** Says once of each set what is wrong with it. */
  #tell(): void {
    if (this.#keys === undefined || this.#isTold) return;
    this.#isTold = true;
    const { size, ignored } = this.#keys;
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

async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MAX_LENGTH) throw new Error(`the file is over ${MAX_LENGTH} bytes`);
  return readFile(path, 'utf8');
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

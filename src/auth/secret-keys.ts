import { createHash, webcrypto } from 'node:crypto';
import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { readKeyFile, Rotation } from './rotation.ts';
import { MAX_FILE_BYTES, secretsIn } from './secrets.ts';
import { revokeRemoved, TrustedKey } from './trusted-key.ts';

/** The configured secrets of HS256 tokens. */
export interface Secrets {
  /** At least one; the first makes tokens. */
  readonly list: readonly Uint8Array[];
  /** Their file; `undefined` if the only one is in a variable. */
  readonly file: string | undefined;
}

/** The file is read each second. */
const PACE = { look: 1000, refresh: 0, retry: 0 };

/** The keys that verify HS256 tokens. Secrets in a file are read again as they rotate. */
export class SecretKeys {
  readonly #secrets: Secrets;
  readonly #logger: Logger;
  /** `undefined` if there is no file. */
  readonly #rotation: Rotation | undefined;
  #keys: ReadonlyMap<string, TrustedKey> = new Map();

  constructor(secrets: Secrets, logger: Logger) {
    this.#secrets = secrets;
    this.#logger = logger;
    const { file } = secrets;
    if (file === undefined) return;
    const read = (): Promise<Buffer> => readKeyFile(file, MAX_FILE_BYTES);
    const rotating = { name: 'AUTH_SECRET_FILE', read, take: (content: Buffer) => this.#take(content) };
    this.#rotation = new Rotation(rotating, PACE, logger);
  }

  /** Imports the secrets. If they are in a file that can be read twice, starts to read it again and again. */
  async start(): Promise<void> {
    const { list, file } = this.#secrets;
    this.#keys = await this.#import(list);
    if (file !== undefined && statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      this.#logger.warn('AUTH_SECRET_FILE is not a regular file: it was read once, and is not read again');
      return;
    }
    this.#rotation?.start();
  }

  /** Stops reading the file. The keys stay in use. */
  stop(): void {
    this.#rotation?.stop();
  }

  /** The keys that may have signed an HS256 token, in the order of the file. */
  get candidates(): readonly TrustedKey[] {
    return [...this.#keys.values()];
  }

  async #take(content: Buffer): Promise<void> {
    let list: readonly Uint8Array[];
    try {
      list = secretsIn(content);
    } catch (error) {
      throw new Error(`it is a file ${(error as Error).message}`, { cause: error });
    }
    const before = this.#keys;
    const now = await this.#import(list);
    this.#keys = now;
    revokeRemoved(before, now);
    const added = [...now.keys()].filter((name) => !before.has(name)).length;
    const removed = before.size + added - now.size;
    if (added + removed === 0) return;
    this.#logger.info(
      { secrets: now.size, added, removed },
      'AUTH_SECRET_FILE has changed: its secrets are in use',
    );
  }

  /** Returns the key of each secret by its digest. A known secret keeps its key object. */
  async #import(secrets: readonly Uint8Array[]): Promise<ReadonlyMap<string, TrustedKey>> {
    const keys = new Map<string, TrustedKey>();
    for (const secret of secrets) {
      const name = createHash('sha256').update(secret).digest('base64');
      keys.set(name, this.#keys.get(name) ?? new TrustedKey(await importSecret(secret)));
    }
    return keys;
  }
}

function importSecret(secret: Uint8Array): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
}

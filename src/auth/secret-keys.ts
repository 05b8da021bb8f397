import { createHash, webcrypto } from 'node:crypto';
import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { readKeyFile, Rotation } from './rotation.ts';
import { MAX_FILE_BYTES, secretsIn } from './secrets.ts';
import { revokeRemoved, TrustedKey } from './trusted-key.ts';

/** The secrets of HS256 tokens as they were configured. */
export interface Secrets {
  /** At least one; the first makes tokens. */
  readonly list: readonly Uint8Array[];
  /** The file that has them; `undefined` if a variable has the only one. */
  readonly file: string | undefined;
}

/** The file is read again this often. */
const PACE = { look: 1000, refresh: 0, retry: 0 };

/** The secrets that HS256 tokens are checked with. Those of a file are read again as they are rotated. */
export class SecretKeys {
  readonly #logger: Logger;
  #keys: ReadonlyMap<string, TrustedKey> = new Map();

  private constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Imports secrets, and from then on reads their file again, if there is one that can be read twice. */
  static async open({ list, file }: Secrets, logger: Logger): Promise<SecretKeys> {
    const keys = new SecretKeys(logger);
    keys.#keys = await keys.#import(list);
    if (file === undefined) return keys;
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      logger.warn('AUTH_SECRET_FILE is no regular file: it was read once, and is not read again');
      return keys;
    }
    const read = (): Promise<Buffer> => readKeyFile(file, MAX_FILE_BYTES);
    new Rotation({ name: 'AUTH_SECRET_FILE', read, take: (content) => keys.#take(content) }, PACE, logger);
    return keys;
  }

  /** The keys that an HS256 token may be signed with, in the order of the file. */
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

  /** Returns the key of each secret by its digest; that of a known one is the same as before. */
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

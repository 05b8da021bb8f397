import type { CryptoKey } from 'jose';

/** A key that tokens are checked with. Identities keep the one that verified their token, to see when it is removed. */
export class TrustedKey {
  readonly key: CryptoKey;
  #isRevoked = false;

  constructor(key: CryptoKey) {
    this.key = key;
  }

  /** Whether its file or set no longer has it. That never changes back: a key that returns is another `TrustedKey`. */
  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  revoke(): void {
    this.#isRevoked = true;
  }
}

/** Revokes the keys that were trusted before and are not now. Keys are the same if they have the same name. */
export function revokeRemoved(
  before: ReadonlyMap<string, TrustedKey>,
  now: ReadonlyMap<string, TrustedKey>,
): void {
  for (const [name, key] of before) if (!now.has(name)) key.revoke();
}

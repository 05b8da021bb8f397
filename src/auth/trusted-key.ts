import type { CryptoKey } from 'jose';

/** A key that verifies tokens. An identity keeps the key of its token, to see when it is removed. */
export class TrustedKey {
  readonly key: CryptoKey;
  #isRevoked = false;

  constructor(key: CryptoKey) {
    this.key = key;
  }

  /** Whether it was removed from its file or set. A key that returns is a new `TrustedKey`. */
  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  revoke(): void {
    this.#isRevoked = true;
  }
}

/** Revokes the keys that were trusted before and no longer are, by their names. */
export function revokeRemoved(
  before: ReadonlyMap<string, TrustedKey>,
  now: ReadonlyMap<string, TrustedKey>,
): void {
  for (const [name, key] of before) if (!now.has(name)) key.revoke();
}

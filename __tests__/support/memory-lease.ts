/** The key of a lease in memory, which several nodes share, with the faults that a real one has. */
import {
  LEASE_MILLISECONDS,
  type LeaseKey,
  type LeaseKeyState,
  type LeaseRecord,
} from '../../src/cluster/lease-key.ts';

/** The server of the key: it goes by a clock that a test moves. */
export class MemoryLeaseServer {
  /** Milliseconds. */
  now = 0;
  #revision = 0;
  #written:
    { readonly record: LeaseRecord | undefined; readonly at: number; readonly revision: number } | undefined;
  readonly #listeners: (() => void)[] = [];

  /** The record that the key has; `undefined` if there is none. */
  get record(): LeaseRecord | undefined {
    return this.state().record;
  }

  state(): LeaseKeyState {
    const written = this.#written;
    if (written === undefined || this.now - written.at >= LEASE_MILLISECONDS)
      return { record: undefined, revision: 0 };
    return { record: written.record, revision: written.revision };
  }

  put(record: LeaseRecord | undefined, revision: number): number {
    if (this.state().revision !== revision) throw new Error('wrong last sequence');
    this.#written = { record, at: this.now, revision: ++this.#revision };
    if (record === undefined) for (const listener of this.#listeners) listener();
    return this.#revision;
  }

  listen(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

/** One node's way to the key. */
export class MemoryLeaseKey implements LeaseKey {
  /** The way each request is handled from now on; by default it is answered. */
  fault: 'unsent' | 'unanswered' | undefined;
  /** Called after each request has reached the server, before its answer is on its way. */
  delay: () => Promise<void> = () => Promise.resolve();
  readonly #server: MemoryLeaseServer;

  constructor(server: MemoryLeaseServer) {
    this.#server = server;
  }

  read(): Promise<LeaseKeyState> {
    return this.#ask(() => this.#server.state());
  }

  write(record: LeaseRecord, revision: number): Promise<number> {
    return this.#ask(() => this.#server.put(record, revision));
  }

  async remove(revision: number): Promise<void> {
    await this.#ask(() => this.#server.put(undefined, revision));
  }

  onRemoved(listener: () => void): void {
    this.#server.listen(listener);
  }

  async #ask<T>(run: () => T): Promise<T> {
    const { fault } = this;
    if (fault === 'unsent') throw new Error('no answer in time');
    const result = run();
    await this.delay();
    if (fault === 'unanswered') throw new Error('no answer in time');
    return result;
  }
}

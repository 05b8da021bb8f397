/** A device that never stops reading, and checks every byte. It comes back with its cursor after a cut. */
import { type ClientRequest, get } from 'node:http';
import { FrameLaw } from '../support/frame-law.ts';
import type { Person } from '../support/persons.ts';
import { until } from '../support/until.ts';

export interface ReaderOptions {
  /** How the token goes. */
  readonly by: 'bearer' | 'cookie' | 'nothing';
  readonly presence?: readonly string[];
}

export class WatchingReader {
  readonly person: Person;
  readonly #origin: string;
  readonly #options: ReaderOptions;
  readonly #laws: FrameLaw[] = [];
  #request: ClientRequest | undefined;
  #closed = true;

  constructor(origin: string, person: Person, options: ReaderOptions) {
    this.#origin = origin;
    this.person = person;
    this.#options = options;
  }

  /** Opens the stream, after what it has; settles when it is live. */
  async open(): Promise<void> {
    const before = this.#laws.at(-1);
    const law = new FrameLaw({ reader: this.person });
    law.lastId = before?.lastId ?? 0;
    this.#laws.push(law);
    const query = new URLSearchParams();
    for (const inbox of this.person.inboxes) query.append('recipient', inbox);
    for (const address of this.#options.presence ?? []) query.append('presence', address);
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (before?.cursor !== undefined) headers['Last-Event-ID'] = before.cursor;
    if (this.#options.by === 'bearer') headers['Authorization'] = `Bearer ${this.person.token}`;
    if (this.#options.by === 'cookie') headers['Cookie'] = `theme=dark; tidings=${this.person.token}`;
    this.#closed = false;
    this.#request = get(
      `${this.#origin}/stream?${query.toString()}`,
      { headers, agent: false },
      (response) => {
        if (response.statusCode !== 200) law.faults.push(`refused with ${response.statusCode ?? 0}`);
        response.on('data', (bytes: Buffer) => law.feed(bytes));
        response.on('error', () => undefined);
      },
    );
    this.#request.on('error', () => undefined);
    this.#request.on('close', () => (this.#closed = true));
    await until(
      () => law.said.includes('live') || law.faults.length > 0 || this.#closed,
      `${this.person.name} to be live`,
    );
    if (law.gap !== false) law.faults.push(`a gap where nothing is missing: ${String(law.gap)}`);
  }

  /** Is cut, and comes back. */
  async reopen(): Promise<void> {
    this.cut();
    await until(() => this.#closed);
    await this.open();
  }

  cut(): void {
    this.#request?.destroy();
  }

  /** The JSON of the stored messages, over all its connections, by id. */
  get received(): Map<number, string> {
    return new Map(this.#laws.flatMap(({ stored }) => stored.map(({ message, json }) => [message.id, json])));
  }

  get cursor(): string | undefined {
    return this.#laws.at(-1)?.cursor;
  }

  get lastId(): number {
    return this.#laws.at(-1)?.lastId ?? 0;
  }

  get faults(): string[] {
    const open = this.#closed && this.#laws.length > 0 ? ['the stream is over'] : [];
    return [...this.#laws.flatMap(({ faults }) => faults), ...open].map(
      (fault) => `the stream of ${this.person.name}: ${fault}`,
    );
  }
}

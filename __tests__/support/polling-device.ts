/** A device without a stream: it reads with a wait, again and again (long polling). */
import { type Answer, request, type WireMessage } from './api.ts';
import type { PulledPage } from './pull.ts';
import type { StreamEvent } from './device.ts';
import { until } from './until.ts';

export interface PollingOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly cursor?: string;
  readonly last?: number;
}

export class PollingDevice {
  readonly messages: WireMessage[] = [];
  /** The server says nothing but its answers. */
  readonly events: readonly StreamEvent[] = [];
  readonly retries: readonly number[] = [];
  cursor: string | undefined;
  /** The field `gap` of the first page after the cursor; `undefined` before that page has come. */
  gap: unknown;
  /** The answer that ended it; `undefined` where the connection failed, or it goes on. */
  refusal: Answer | undefined;
  closed = false;
  readonly #origin: string;
  readonly #query: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #gone = new AbortController();

  private constructor(origin: string, inboxes: readonly string[], { headers = {}, cursor }: PollingOptions) {
    this.#origin = origin;
    this.#query = inboxes.map((inbox) => `recipient=${encodeURIComponent(inbox)}`).join('&');
    this.#headers = headers;
    this.cursor = cursor;
  }

  /** Begins; settles with the first answer, whatever it is. */
  static async open(
    origin: string,
    inboxes: readonly string[],
    options: PollingOptions = {},
  ): Promise<PollingDevice> {
    const device = new PollingDevice(origin, inboxes, options);
    if (options.cursor === undefined) {
      // The newest page tells where it goes on.
      const limit = Math.max(1, options.last ?? 0);
      const first = await device.#ask(`${device.#query}&before=latest&limit=${limit}`);
      if (first === undefined) return device;
      device.cursor = first.cursor;
      if ((options.last ?? 0) > 0) device.messages.push(...first.messages);
    }
    await device.#poll(0);
    void device.#pollOn();
    return device;
  }

  get ids(): number[] {
    return this.messages.map(({ id }) => id);
  }

  async waitForMessages(count: number): Promise<WireMessage[]> {
    await until(() => this.messages.length >= count, `${count} messages, not ${this.messages.length}`);
    return this.messages;
  }

  /** Waits until it is refused, or the connection fails. */
  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of polling');
  }

  cut(): void {
    this.#gone.abort();
  }

  async #pollOn(): Promise<void> {
    while (!this.closed) await this.#poll(5);
  }

  async #poll(wait: number): Promise<void> {
    const page = await this.#ask(`${this.#query}&after=${this.cursor}&wait=${wait}`);
    if (page === undefined) return;
    this.gap ??= page.gap;
    this.messages.push(...page.messages);
    this.cursor = page.cursor;
    if (wait === 0 && page.more) await this.#poll(0);
  }

  async #ask(query: string): Promise<PulledPage | undefined> {
    try {
      const url = `${this.#origin}/messages?${query}`;
      const answer = await request(url, { headers: this.#headers, signal: this.#gone.signal });
      if (answer.status === 200) return answer.body as PulledPage;
      this.refusal = answer;
    } catch {
      // The service has ended, or the device was cut.
    }
    this.closed = true;
    return undefined;
  }
}

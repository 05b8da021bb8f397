/** A tab with nothing in it but `client.js`, and everything that the client told it. */
import type { BrowserContext, Page } from 'playwright-core';
import type { WireMessage } from './api.ts';
import { until } from './until.ts';

export interface ClientStatus {
  readonly state: string;
  readonly transport: string;
  readonly shared: boolean;
  readonly detail: string;
  readonly caughtUp: number;
  readonly waiting: number;
}

/** The outcome of a promise of the client. */
export interface Outcome {
  readonly value?: WireMessage;
  readonly error?: { readonly name: string; readonly message: string; readonly status?: number };
}

/** Everything that one visit was told, from the loading of the page to its end. */
export class Visit {
  /** The position at which the client began; `undefined` if it had none. */
  start: string | undefined;
  readonly message: WireMessage[] = [];
  readonly event: Record<string, unknown>[] = [];
  readonly status: ClientStatus[] = [];
  readonly gap: { readonly reason: string; readonly cursor: string }[] = [];
  readonly refused: { readonly content: unknown; readonly status: number }[] = [];
  readonly expired: unknown[] = [];
  readonly outcome: { readonly send: number; readonly outcome: Outcome }[] = [];

  get ids(): number[] {
    return this.message.map(({ id }) => id);
  }

  get contents(): unknown[] {
    return this.message.map(({ content }) => content);
  }
}

type Kind = Exclude<keyof Visit, 'start' | 'ids' | 'contents'>;

export interface TabOptions {
  readonly recipient: string | readonly string[];
  readonly [option: string]: unknown;
}

/** Runs in the page. `before` is a statement to run before the client is loaded, `extra` has more options. */
const CONNECT = (number: number, options: TabOptions, extra: string): string => `(async () => {
  const { connect } = await import('/client.js');
  const note = (kind, value) => void globalThis.note(${number}, kind, value);
  const report = (promise, send) => promise.then(
    (value) => note('outcome', { send, outcome: { value } }),
    ({ name, message, status }) => note('outcome', { send, outcome: { error: { name, message, status } } }),
  );
  const connection = connect({
    ...${JSON.stringify(options)},
    onMessage: (message) => note('message', message),
    onEvent: (event) => note('event', event),
    onStatus: (status) => note('status', status),
    onGap: (gap) => note('gap', gap),
    onRefused: ({ draft, problem }) => note('refused', { content: draft.content, status: problem.status }),
    ...(${extra}),
  });
  Object.assign(globalThis, { connection, report });
  return connection.cursor;
})()`;

export class ClientTab {
  readonly page: Page;
  readonly visits: Visit[] = [];
  /** The complaints of the page: callbacks that threw. */
  readonly errors: string[] = [];
  #sends = 0;

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(error.message));
  }

  /**
   * Opens an empty page of the service, without the client. Its clock can be moved on by `pass`. If a script
   * is given, which runs in the page before all others, the page has its own clock.
   */
  static async open(context: BrowserContext, origin: string, script?: string): Promise<ClientTab> {
    const tab = new ClientTab(await context.newPage());
    if (script === undefined) await tab.page.clock.install();
    else await tab.page.addInitScript(script);
    await tab.page.exposeBinding('note', (_source, visit: number, kind: Kind, value: unknown) => {
      const told: unknown[] = (tab.visits[visit] as Visit)[kind];
      told.push(value);
    });
    // A browser keeps a file in its back/forward cache, and does not keep the answer of `healthz`.
    await tab.page.goto(`${origin}/${script === undefined ? 'healthz' : 'client.js'}`);
    return tab;
  }

  /** Opens a page that follows an inbox, and waits until it is live. */
  static async live(
    context: BrowserContext,
    origin: string,
    options: TabOptions,
    script?: string,
  ): Promise<ClientTab> {
    const tab = await ClientTab.open(context, origin, script);
    await tab.connect(options);
    await tab.waitForState('live');
    return tab;
  }

  /** @param extra the source of an object with more options, such as callbacks, which can use `note` */
  async connect(options: TabOptions, extra = '{}'): Promise<void> {
    const visit = new Visit();
    this.visits.push(visit);
    visit.start = await this.page.evaluate<string | undefined>(
      CONNECT(this.visits.length - 1, options, extra),
    );
  }

  /** Loads the page again, and connects again. */
  async reload(options: TabOptions, extra?: string): Promise<void> {
    await this.page.reload();
    await this.connect(options, extra);
  }

  /** Ends the process of the page, as a crash does. Tabs of one context may share it. */
  async crash(): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    const crashed = this.page.waitForEvent('crash');
    // Never answered: there is nobody to answer.
    session.send('Page.crash').catch(() => undefined);
    await crashed;
  }

  /** The current visit. */
  get visit(): Visit {
    const visit = this.visits.at(-1);
    if (visit === undefined) throw new Error('not connected');
    return visit;
  }

  get status(): ClientStatus | undefined {
    return this.visit.status.at(-1);
  }

  async waitForState(state: string, transport?: string, milliseconds?: number): Promise<void> {
    const holds = (): boolean =>
      this.status?.state === state && (transport === undefined || this.status.transport === transport);
    try {
      await until(holds, '', milliseconds);
    } catch {
      throw new Error(
        `not ${state} ${transport ?? ''} but ${JSON.stringify(this.visits.at(-1)?.status.slice(-3))}`,
      );
    }
  }

  /**
   * Waits until a message with this content was told, and returns the contents of all messages of this visit.
   */
  async waitForMessage(content: unknown, milliseconds?: number): Promise<unknown[]> {
    const visit = this.visit;
    await until(
      () => visit.contents.includes(content),
      `"${String(content)}" in ${String(visit.contents.slice(-5))}`,
      milliseconds,
    );
    return visit.contents;
  }

  /** Lets time pass for all pages of the context, as while a machine sleeps: each due timer fires once. */
  async pass(seconds: number): Promise<void> {
    await this.page.clock.fastForward(seconds * 1000);
  }

  /** Stops the clock: from now on, time passes for the pages of the context only by `pass`. */
  async stopClock(): Promise<void> {
    // The clock cannot go back, and runs until it is stopped.
    await this.page.clock.pauseAt(Number(await this.run('Date.now()')) + 5000);
  }

  /** Runs JavaScript in the page; `connection` is the connection. */
  run(source: string): Promise<unknown> {
    return this.page.evaluate(source);
  }

  /**
   * Begins a call that returns a promise, such as `send({…})`.
   *
   * @returns a function that waits for the outcome
   */
  async begin(call: string): Promise<() => Promise<Outcome>> {
    const send = this.#sends++;
    const visit = this.visit;
    await this.run(`void report(connection.${call}, ${send})`);
    return async () => {
      const found = (): Outcome | undefined => visit.outcome.find((one) => one.send === send)?.outcome;
      await until(() => found() !== undefined, `what becomes of ${call}`);
      return found() as Outcome;
    };
  }

  /** Makes a call that returns a promise, and waits for the outcome. */
  async call(call: string): Promise<Outcome> {
    const outcome = await this.begin(call);
    return outcome();
  }

  /** Begins to send a message with this content. */
  send(recipient: string, content: unknown): Promise<() => Promise<Outcome>> {
    return this.begin(`send(${JSON.stringify({ recipient, content })})`);
  }

  close(): Promise<void> {
    return this.page.close();
  }
}

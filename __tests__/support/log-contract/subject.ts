import type { LogMetrics } from '../../../src/log/log-metrics.ts';
import type { LogHealth, MessageLog } from '../../../src/log/message-log.ts';
import type { Inboxes } from '../../../src/log/inboxes.ts';
import type { PushStore } from '../../../src/log/push-store.ts';
import type { Retention } from '../../../src/log/retention.ts';
import type { Draft } from '../../../src/message.ts';
import { draft } from '../log-file.ts';

/** All interfaces of a log that the service uses. */
type WholeLog = MessageLog &
  LogMetrics &
  LogHealth & {
    readonly pushStore: PushStore;
    seal(): Promise<void>;
    close(): Promise<void>;
  };

/** The options of a log under test. */
interface LogOptions {
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Returns milliseconds that only grow, and that `now` jumps against. An implementation may go by its own. */
  readonly monotonic: () => number;
  readonly retention: Retention;
  /** A value that `save` returned: the log begins with that content. `undefined`: it is empty. */
  readonly from: unknown;
}

/** A log under test. */
interface LogUnderTest {
  readonly log: WholeLog;
  /** Brings conversations up to date, and lets upkeep do all that is due. */
  settle(): Promise<void>;
  /** Closes the log. @returns a value from which `open` makes a log with the same content */
  save(): Promise<unknown>;
}

/** Makes logs of one implementation. */
export interface LogFactory {
  /** Whether the time of messages follows `now`; else it comes from elsewhere, and nothing can be said about it. */
  readonly setsTime: boolean;
  /** Whether this process gives the order; else a stream that outlives it does. */
  readonly isLocal: boolean;
  open(options: LogOptions): Promise<LogUnderTest>;
}

/** The clock at the beginning of each test: ahead of the machine's, so that nothing of it has expired by that one. */
const START = Math.floor(Date.now() / 1000) * 1000 + 10 * 86_400_000;

/** A log under test, its clock, and shorthands for most tests. */
export class Subject {
  /** Assign to it to have the clock jump. */
  now = START;
  #passed = 0;
  readonly #factory: LogFactory;
  #opened: LogUnderTest | undefined;

  constructor(factory: LogFactory) {
    this.#factory = factory;
  }

  get log(): WholeLog {
    if (this.#opened === undefined) throw new Error('open it first');
    return this.#opened.log;
  }

  async open(options: { retention?: Retention; from?: unknown } = {}): Promise<void> {
    const { retention = { days: 0, messages: 0 }, from } = options;
    this.#opened = await this.#factory.open({
      now: () => this.now,
      monotonic: () => performance.now() + this.#passed,
      retention,
      from,
    });
  }

  /** Lets time pass, for all clocks. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.#passed += milliseconds;
  }

  settle(): Promise<void> {
    return this.#opened?.settle() ?? Promise.resolve();
  }

  /** Closes the log and returns its content. */
  async save(): Promise<unknown> {
    const saved = await this.#opened?.save();
    this.#opened = undefined;
    return saved;
  }

  async reopen(): Promise<void> {
    await this.open({ from: await this.save() });
  }

  async end(): Promise<void> {
    if (this.#opened !== undefined) await this.save();
  }

  /** Appends one batch. @returns the ids of its messages as they stand in the log */
  async put(...drafts: Partial<Draft>[]): Promise<number[]> {
    const stored = await this.log.append(drafts.map((fields) => draft(fields)));
    return stored.map(({ message }) => message.id);
  }

  /** Appends a read marker. @returns the marker as it stands in the log */
  async mark(
    messageId: number,
    fields: Partial<Draft> = {},
  ): Promise<{ id: number; through: number; isNew: boolean }> {
    const content = JSON.stringify({ messageId });
    const [stored] = await this.log.append([
      draft({ sender: 'bob', recipient: 'alice', type: 'read', content, ...fields }),
    ]);
    if (stored === undefined) throw new Error('there is no answer');
    const marked = JSON.parse(stored.message.content) as { messageId: number };
    return { id: stored.message.id, through: marked.messageId, isNew: stored.isNew };
  }

  /** Returns the ids of all messages of inboxes after a position, read in pages. */
  ids(inboxes: Inboxes, after = 0, limit = 100): number[] {
    const ids: number[] = [];
    for (let through = after; ;) {
      const page = this.log.readAfter(inboxes, through, limit, ({ id }) => ids.push(id) > 0);
      if (!page.more) return ids;
      through = page.through;
    }
  }
}

/** Returns the name and the fields of the error with which a promise is rejected; `undefined` if it is not. */
export async function refusalOf(promise: Promise<unknown>): Promise<object | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    // Not by its class: the log of another build has its own.
    return { ...(error as object), name: (error as Error).name };
  }
}

/** Returns a visitor that takes `room` messages and no more, and the ids that it took. */
export function taking(room = Infinity): { ids: number[]; visit: (message: { id: number }) => boolean } {
  const ids: number[] = [];
  return { ids, visit: ({ id }) => ids.length < room && ids.push(id) > 0 };
}

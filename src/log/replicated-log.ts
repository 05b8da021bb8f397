import { type Draft, isExpired, type Message } from '../message.ts';
import { type Answers, answersOf } from './answers.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import { Epochs, parseCursor } from './cursor.ts';
import type { BackPage, ForwardPage, Inboxes, MessageVisitor } from './inboxes.ts';
import type { CommitTimes, LogCounts, LogFiles, LogMetrics } from './log-metrics.ts';
import { type LogHealth, LogUnavailable, type MessageLog, type Start, type Stored } from './message-log.ts';
import { type Commit, FULL, GroupCommit, type Settled } from './order/group-commit.ts';
import type { AppliedGroup, Delivered } from './order/applied-group.ts';
import type { Order } from './order/order.ts';
import { PushGroup } from './order/push-group.ts';
import type { PushOutcome, PushStore } from './push-store.ts';
import { readBudget } from './replica/budget.ts';
import { PushTable } from './replica/push-table.ts';
import type { Replica } from './replica/replica.ts';

/** The number of messages read at once when missed messages are delivered late. */
const CATCH_UP_PAGE = 500;

/** The parts of a log. */
export interface ReplicatedLogParts {
  readonly replica: Replica;
  readonly order: Order;
  /** The epoch that begins with the next id; `undefined` if other nodes may begin epochs. */
  readonly nextEpoch?: string;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** The log, made of an order of entries and this node's replica, which applies them. */
export class ReplicatedLog implements MessageLog, LogMetrics, LogHealth {
  /** The subscriptions to notifications. */
  readonly pushStore: PushStore;
  readonly #parts: ReplicatedLogParts;
  readonly #replica: Replica;
  readonly #groups: GroupCommit;
  readonly #epochs: Epochs;
  readonly #listeners: ((messages: readonly Message[]) => Promise<void> | void)[] = [];
  readonly #pushListeners: ((outcomes?: readonly PushOutcome[]) => void)[] = [];
  readonly #timers: ((times: CommitTimes) => void)[] = [];
  readonly #counts = { stored: 0, repeated: 0, messages: 0, commits: 0 };
  #head: number;
  /** Why no more messages are accepted; `undefined` while they are. */
  #ending: string | undefined;

  constructor(parts: ReplicatedLogParts) {
    const { replica, order } = parts;
    this.#parts = parts;
    this.#replica = replica;
    this.#head = replica.store.head();
    this.#epochs = new Epochs(replica.store.epochs());
    const { nextEpoch: epoch } = parts;
    if (epoch !== undefined) this.#epochs.begin({ firstId: this.#head + 1, epoch });
    this.#groups = new GroupCommit(order, (commit) => this.#settle(commit));
    const pushes = new PushGroup(order);
    this.pushStore = new PushTable({
      database: replica.database,
      conversations: replica.conversations,
      now: () => this.#now(),
      head: () => this.#head,
      // Even while the log is closing, sent notifications are recorded.
      apply: (changes) => pushes.apply(changes),
    });
    replica.onReopened = (head) => this.#catchUp(head);
  }

  get head(): number {
    return this.#head;
  }

  get refusing(): string | undefined {
    return this.#ending ?? this.#replica.refusing ?? this.#parts.order.refusing;
  }

  get cutOff(): string | undefined {
    return this.#parts.order.cutOff;
  }

  cursor(id: number): string {
    return this.#epochs.format(id);
  }

  reach(text: string): Promise<void> | undefined {
    const cursor = parseCursor(text);
    if (cursor === undefined || this.#epochs.knows(cursor, this.#head)) return undefined;
    return this.#parts.order.caughtUp();
  }

  locate(text: string, inboxes: Inboxes): Start {
    const cursor = parseCursor(text);
    const purgedThrough = this.#replica.store.purgedThrough(inboxes);
    if (cursor === undefined) return { after: 0, gap: 'unknown', purgedThrough };
    if (!this.#epochs.knows(cursor, this.#head)) return { after: 0, gap: 'restored', purgedThrough };
    return { after: cursor.id, gap: purgedThrough > cursor.id ? 'purged' : false, purgedThrough };
  }

  newest(inboxes: Inboxes, count: number): Start {
    let first = this.#head + 1;
    let toFind = count;
    if (count > 0) {
      this.readBack(inboxes, first, ({ id }) => {
        first = id;
        return --toFind > 0;
      });
    }
    return { after: first - 1, gap: false, purgedThrough: this.#replica.store.purgedThrough(inboxes) };
  }

  append(batch: readonly Draft[]): Promise<Stored[]> {
    const { refusing } = this;
    if (refusing !== undefined) return Promise.reject(new LogUnavailable(refusing));
    return this.#groups.append(batch);
  }

  checkRoom(): void {
    if (this.#groups.isFull) throw new LogUnavailable(FULL);
  }

  message(id: number): Message | undefined {
    return id > this.#head ? undefined : this.#replica.store.message(id, this.#now());
  }

  readAfter(inboxes: Inboxes, after: number, limit: number, visit: MessageVisitor): ForwardPage {
    const { store } = this.#replica;
    // Both reads use one snapshot: a purge between them would remove messages from the page unnoticed.
    return store.snapshot(() => ({
      ...store.readAfter(inboxes, after, this.#head, limit, this.#now(), visit),
      purgedThrough: store.purgedThrough(inboxes),
    }));
  }

  readBack(inboxes: Inboxes, before: number, visit: MessageVisitor): BackPage {
    const head = Math.min(this.#head, before - 1);
    return this.#replica.store.readBack(inboxes, head, this.#now(), visit, readBudget());
  }

  readConversation(pair: readonly [string, string], before: number, visit: MessageVisitor): BackPage {
    const { conversations } = this.#replica;
    return conversations.readBack(pair, before, this.#head, this.#now(), visit, readBudget());
  }

  conversations(
    address: string,
    before: number,
    limit: number,
    fits: (conversation: Conversation) => boolean,
  ): ConversationPage {
    const bounds = { budget: readBudget(), fits };
    return this.#replica.conversations.list(address, before, this.#head, limit, this.#now(), bounds);
  }

  conversation(address: string, peer: string): ConversationState<Conversation> {
    return this.#replica.conversations.ofPair(address, peer, this.#head, this.#now());
  }

  room(reader: string, room: string): ConversationState<RoomState> {
    return this.#replica.conversations.ofRoom(reader, room, this.#head, this.#now());
  }

  onCommit(listener: (messages: readonly Message[]) => Promise<void> | void): void {
    this.#listeners.push(listener);
  }

  /**
   * Calls `listener` with the outcomes of changes of subscriptions that a cluster's entries made; without an argument
   * if they are unknown.
   */
  onPushed(listener: (outcomes?: readonly PushOutcome[]) => void): void {
    this.#pushListeners.push(listener);
  }

  onTimed(timer: (times: CommitTimes) => void): void {
    this.#timers.push(timer);
  }

  get counts(): LogCounts {
    return { ...this.#counts, failures: this.#groups.failures, purged: this.#replica.purged };
  }

  files(): Promise<LogFiles> {
    return this.#replica.files();
  }

  async probe(): Promise<void> {
    const why = this.refusing ?? this.#parts.order.unready;
    if (why !== undefined) throw new LogUnavailable(why);
    await this.#replica.probe();
  }

  /** Refuses further appends, and waits until accepted ones are stored and passed to the listeners. */
  async seal(): Promise<void> {
    this.#ending = 'the service is shutting down';
    this.#parts.order.seal();
    await this.#groups.idle();
    await this.#parts.order.handedOn;
  }

  /** Seals the log and closes the replica. Afterwards nothing can be read. */
  async close(): Promise<void> {
    await this.seal();
    await this.#parts.order.close();
    await this.#replica.close();
  }

  /**
   * Returns the time by which messages expire: a node whose clock is behind must not show messages that others have
   * removed.
   */
  #now(): number {
    return Math.max(this.#parts.now(), this.#replica.logTime);
  }

  /**
   * Handles entries that the order of a cluster delivered and the replica applied: passes new messages to the listeners
   * and records new epochs.
   */
  deliver({ entries, outcomes, ...times }: AppliedGroup): Delivered {
    const fresh: Message[] = [];
    const answers = entries.map(({ entry, time }, index) => {
      const outcome = outcomes[index];
      if (entry.kind === 'epoch' && outcome?.kind === 'epoch')
        this.#epochs.begin({ ...outcome, epoch: entry.epoch });
      if (outcome?.kind === 'push') for (const tell of this.#pushListeners) tell(outcome.outcomes);
      if (entry.kind !== 'append' || outcome?.kind !== 'append') return undefined;
      const made = this.#answer({ batches: entry.batches, outcome, time });
      fresh.push(...made.fresh);
      return made.answers;
    });
    if (outcomes.some(({ kind }) => kind === 'applied-before')) {
      for (const epoch of this.#replica.store.epochs()) this.#epochs.begin(epoch);
      this.#catchUp(this.#replica.store.head());
      for (const tell of this.#pushListeners) tell();
    }
    return { answers, handedOn: this.#handOnNew(fresh, { waitSeconds: 0, ...times }) };
  }

  /** Creates the messages of a commit, passes the new ones to the listeners, and returns the answers to its batches. */
  #settle(commit: Commit): Settled {
    const { answers, fresh } = this.#answer(commit);
    return { answers, handedOn: this.#handOnNew(fresh, commit) };
  }

  #answer(commit: Pick<Commit, 'batches' | 'outcome' | 'time'>): Answers {
    const made = answersOf(commit.batches, commit.outcome, commit.time);
    this.#counts.stored += made.stored;
    this.#counts.repeated += made.repeated;
    return made;
  }

  /** @returns as `#handOn` */
  #handOnNew(
    fresh: readonly Message[],
    { waitSeconds, seconds, syncSeconds }: Omit<CommitTimes, 'messages'>,
  ): Promise<unknown> | undefined {
    if (fresh.length === 0) return undefined;
    this.#counts.messages += fresh.length;
    this.#counts.commits++;
    for (const timer of this.#timers) timer({ messages: fresh.length, waitSeconds, seconds, syncSeconds });
    return this.#handOn(fresh);
  }

  /**
   * Delivers stored messages that the listeners have missed, for example because the log's files had been moved away.
   * Does nothing if there are none.
   *
   * @param head the highest id in the database
   */
  #catchUp(head: number): void {
    while (this.#head < head) {
      const missed: Message[] = [];
      const visit: MessageVisitor = (message) => missed.push(message) > 0;
      const { store } = this.#replica;
      const page = store.readAfter(['*'], this.#head, head, CATCH_UP_PAGE, this.#now(), visit);
      void this.#handOn(missed);
      this.#head = page.more ? page.through : head;
    }
  }

  /**
   * Passes messages to the listeners, except those that `#catchUp` has already passed on.
   *
   * @returns a promise that settles when all listeners are done; `undefined` if they already are
   */
  #handOn(fresh: readonly Message[]): Promise<unknown> | undefined {
    const before = this.#head;
    this.#head = Math.max(before, fresh.at(-1)?.id ?? 0);
    const now = this.#now();
    const isPlain = fresh.every(({ id, expiresAt }) => expiresAt === null && id > before);
    const live = isPlain ? fresh : fresh.filter((message) => message.id > before && !isExpired(message, now));
    const pending = this.#listeners.map((listener) => listener(live)).filter((one) => one !== undefined);
    return pending.length <= 1 ? pending[0] : Promise.all(pending);
  }
}

/** A service under random use, held against the model after each step. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, get, publish, type WireMessage } from './api.ts';
import { type Draft, isOf, Model, type Span } from './model.ts';
import {
  checkConversations,
  checkForward,
  checkPageAfter,
  checkPageBefore,
  checkPair,
  checkRoom,
  idOf,
  type WireConversation,
  type WireState,
} from './model-checks.ts';
import { ModelDevice } from './model-device.ts';
import { type PulledPage, pull } from './pull.ts';
import type { Random } from './random.ts';
import { Server } from './server.ts';
import { DeviceStream } from './stream.ts';
import { until } from './until.ts';

const PEOPLE = ['ann', 'ben', 'cleo', 'Дора', 'room 1'];
const TYPES = ['message', 'message', 'message', 'note', 'order'];

/** A batch under way when the service is killed is large, so that some are cut in the middle. */
const LARGE_BATCH = 1000;

/** How often each thing was seen: a run in which something never came up shows nothing of it. */
export interface Report {
  steps: number;
  stored: number;
  repeats: number;
  conflicts: number;
  expired: number;
  gaps: number;
  kills: number;
  unanswered: number;
  unansweredStored: number;
  delivered: number;
}

/** A publish that has no answer yet. */
interface Sent {
  readonly drafts: readonly Draft[];
  readonly answer: Promise<Answer | undefined>;
}

export class ModelRun {
  readonly report: Report = {
    steps: 0,
    stored: 0,
    repeats: 0,
    conflicts: 0,
    expired: 0,
    gaps: 0,
    kills: 0,
    unanswered: 0,
    unansweredStored: 0,
    delivered: 0,
  };
  readonly #random: Random;
  readonly #database: string;
  readonly #keep: number;
  readonly #model: Model;
  readonly #devices: ModelDevice[];
  #server: Server;
  /** Drafts with a key, to be sent again. */
  readonly #keyed: Draft[] = [];
  #serial = 0;

  private constructor(random: Random, database: string, keep: number, server: Server) {
    this.#random = random;
    this.#database = database;
    this.#keep = keep;
    this.#model = new Model(keep);
    this.#server = server;
    this.#devices = [['ann'], ['ben', 'room 1'], ['cleo', 'ann', 'Дора'], ['*']].map(
      (inboxes) => new ModelDevice(inboxes),
    );
  }

  static async start(random: Random, database: string): Promise<ModelRun> {
    const keep = random.chance(0.5) ? 0 : random.integer(20, 60);
    return new ModelRun(random, database, keep, await startServer(database, keep));
  }

  async run(steps: number): Promise<void> {
    for (let step = 1; step <= steps; step++) {
      await this.#step();
      this.report.steps++;
      if (step % 20 === 0 || step === steps) await this.#settle();
    }
    if (this.#keep > 0) await this.#checkKept();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const chance = random.next();
    if (chance < 0.28) await this.#publishOne();
    else if (chance < 0.3) await this.#markAhead();
    else if (chance < 0.42) await this.#publishBatch();
    else if (chance < 0.48) await this.#publishTogether();
    else if (chance < 0.58) await this.#pullOn();
    else if (chance < 0.68) await this.#lookBack();
    else if (chance < 0.75) await this.#listConversations();
    else if (chance < 0.78) await this.#askOne();
    else if (chance < 0.83) await this.#lookUp();
    else if (chance < 0.9) await this.#moveDevice();
    else if (chance < 0.925) await this.#visit();
    else if (chance < 0.95) await this.#wait();
    else if (chance < 0.965) await sleep(random.integer(100, 600));
    else if (chance < 0.975) await this.#restart();
    else await this.#kill();
  }

  /** A draft whose content is like no other. */
  #newDraft({ mayExpire = true } = {}): Draft {
    const random = this.#random;
    const serial = ++this.#serial;
    const text = random.pick(['', 'x', 'ünï', '漢字', '"\\\n', '😀']).repeat(random.integer(0, 40));
    return {
      sender: random.pick(PEOPLE),
      recipient: random.pick(PEOPLE),
      content: random.pick<unknown>([`${serial} ${text}`, { serial, text }, [serial, [text], null, 1.5]]),
      ...(random.chance(0.5) ? { type: random.pick(TYPES) } : {}),
      ...(random.chance(0.3) ? { background: random.chance(0.7) } : {}),
      ...(mayExpire && random.chance(0.2) ? { ttl: random.integer(1, 2) } : {}),
      ...(random.chance(0.3) ? { idempotencyKey: `key ${serial}` } : {}),
    };
  }

  /** A draft of any kind: new, sent before, one whose key is taken, or a read marker. */
  #anyDraft(): Draft {
    const random = this.#random;
    const { head } = this.#model;
    if (random.chance(0.12) && head > 0) {
      const messageId = random.chance(0.5)
        ? head - random.integer(0, Math.min(head - 1, 5))
        : random.integer(1, head);
      return {
        sender: random.pick(PEOPLE),
        recipient: random.pick(PEOPLE),
        type: 'read',
        content: { messageId },
      };
    }
    if (random.chance(0.25) && this.#keyed.length > 0) {
      const before = random.pick(this.#keyed.slice(-40));
      return random.chance(0.85) ? reordered(before) : { ...before, content: `another ${++this.#serial}` };
    }
    const draft = this.#newDraft();
    if (draft.idempotencyKey !== undefined) this.#keyed.push(draft);
    return draft;
  }

  async #publishOne(): Promise<void> {
    const draft = this.#anyDraft();
    const { span, value: answer } = await timed(() => publish(this.#server.url, draft));
    this.#take([draft], answer, span);
  }

  /** A marker ahead of the log is one at the newest message of its conversation. */
  async #markAhead(): Promise<void> {
    const [sender, recipient] = [this.#random.pick(PEOPLE), this.#random.pick(PEOPLE)];
    const { head } = this.#model;
    const content = { messageId: head + this.#random.integer(1, 1000) };
    const { span, value: answer } = await timed(() =>
      publish(this.#server.url, { sender, recipient, type: 'read', content }),
    );
    const message = answer.body as WireMessage;
    const facts = (): string => JSON.stringify({ sender, recipient, head, status: answer.status, message });
    const standing = this.#model.marker(sender, recipient);
    if (answer.status === 200) {
      if (JSON.stringify(message) !== JSON.stringify(standing))
        throw new Error(`not what stands: ${facts()}`);
      return;
    }
    const { messageId } = message.content as { messageId: number };
    const possible = this.#model.newestOf(sender, recipient, span);
    const before = this.#model.readThrough(sender, recipient) ?? 0;
    if (answer.status !== 201 || !possible.includes(messageId) || messageId <= before) {
      throw new Error(`a marker ahead is stored elsewhere: ${facts()} ${possible.slice(0, 5).join()}`);
    }
    this.#store(message, { sender, recipient, type: 'read', content: { messageId } }, span);
  }

  async #publishBatch(): Promise<void> {
    const drafts = Array.from({ length: this.#random.integer(1, 30) }, () => this.#anyDraft());
    const { span, value: answer } = await timed(() => publish(this.#server.url, drafts));
    this.#take(drafts, answer, span);
  }

  /** Several at once: their order is known by their ids alone, so none depends on another. */
  async #publishTogether(): Promise<void> {
    const sent = Array.from({ length: this.#random.integer(2, 8) }, () =>
      this.#sendNew(this.#random.integer(1, 5)),
    );
    const answered = await Promise.all(
      sent.map(async ({ drafts, answer }) => ({ drafts, answer: (await answer) as Answer })),
    );
    this.#takeStored(answered.map(({ drafts, answer }) => ({ drafts, stored: storedIn(answer, drafts) })));
  }

  /** Sends new drafts without waiting for the answer. They do not expire, and do not depend on what is stored. */
  #sendNew(count: number): Sent {
    const drafts = Array.from({ length: count }, () => this.#newDraft({ mayExpire: false }));
    const answer = publish(this.#server.url, drafts.length === 1 ? drafts[0] : drafts).catch(() => undefined);
    return { drafts, answer };
  }

  /** Holds an answer against what the model says of each draft, and takes note of what was stored. */
  #take(drafts: readonly Draft[], answer: Answer, span: Span): void {
    const outcomes = drafts.map((draft, index) => this.#model.outcome(draft, span, drafts.slice(0, index)));
    const facts = (): string =>
      JSON.stringify({ drafts, outcomes, status: answer.status, body: answer.body as unknown });
    const isBatch = Array.isArray(answer.body);
    if (answer.status === 422) {
      if (!outcomes.some((outcome) => outcome === 'conflict' || outcome === 'either'))
        throw new Error(`no conflict: ${facts()}`);
      this.report.conflicts++;
      return;
    }
    if (outcomes.includes('conflict') || (answer.status !== 200 && answer.status !== 201)) {
      throw new Error(`not as it must be: ${facts()}`);
    }
    const answers = isBatch ? (answer.body as WireMessage[]) : [answer.body as WireMessage];
    if (answers.length !== drafts.length) throw new Error(`another number of answers: ${facts()}`);
    let fresh = 0;
    for (const [index, message] of answers.entries()) {
      const draft = drafts[index] as Draft;
      if (message.id > this.#model.head) {
        const standing = this.#model.outcome(draft, span);
        if (standing !== 'new' && standing !== 'either')
          throw new Error(`stored again (${index}): ${facts()}`);
        this.#store(message, draft, span);
        fresh++;
        continue;
      }
      // It stands for one that was stored before, in this batch too.
      const standing = this.#model.outcome(draft, span);
      const stored = this.#model.byId(message.id);
      const isStanding = standing === stored || (standing === 'either' && stored !== undefined);
      if (!isStanding || JSON.stringify(stored) !== JSON.stringify(message)) {
        throw new Error(`not what stands (${index}): ${facts()}`);
      }
      this.report.repeats++;
    }
    if (answer.status !== (fresh > 0 ? 201 : 200)) throw new Error(`another status: ${facts()}`);
  }

  /** Takes note of drafts that were stored together with others, in the order of their ids. */
  #takeStored(publishes: readonly { drafts: readonly Draft[]; stored: readonly WireMessage[] }[]): void {
    for (const { stored } of publishes) {
      const isInOne = stored.every(({ id }, index) => id === (stored[0]?.id ?? 0) + index);
      if (!isInOne)
        throw new Error(`a batch is not in one piece: ${JSON.stringify(stored.map(({ id }) => id))}`);
    }
    const span = { from: 0, to: Infinity };
    publishes
      .flatMap(({ drafts, stored }) =>
        stored.map((message, index) => ({ message, draft: drafts[index] as Draft })),
      )
      .sort((one, other) => one.message.id - other.message.id)
      .forEach(({ message, draft }) => this.#store(message, draft, span));
  }

  #store(message: WireMessage, draft: Draft, span: Span): void {
    const at = Date.parse(message.createdAt);
    if (!isOf(message, draft) || at < span.from || at > span.to) {
      throw new Error(`stored is not what was sent: ${JSON.stringify({ message, draft, span })}`);
    }
    this.#model.store(message);
    this.report.stored++;
  }

  /** Goes on from a random position, page by page, to the end. */
  async #pullOn(): Promise<void> {
    const random = this.#random;
    const inboxes = random.chance(0.15)
      ? ['*']
      : random.chance(0.5)
        ? [random.pick(PEOPLE)]
        : ['ann', 'room 1', 'Дора'];
    const limit = random.pick([1, 3, 10, 100, 1000]);
    const query = inboxes.map((address) => `recipient=${encodeURIComponent(address)}`).join('&');
    let after = String(random.chance(0.3) ? 0 : Math.max(0, this.#model.head - random.integer(0, 40)));
    for (let pages = 0; pages < 30; pages++) {
      const { span, value: page } = await timed(() =>
        pull(this.#server.url, `${query}&limit=${limit}&after=${after}`),
      );
      checkPageAfter(this.#model, inboxes, idOf(after), limit, page, span);
      if (page.gap === 'purged') this.report.gaps++;
      after = page.cursor;
      if (!page.more) break;
    }
  }

  /** Reads inboxes, or what two have sent to each other, backwards, page by page. */
  async #lookBack(): Promise<void> {
    const random = this.#random;
    const limit = random.pick([1, 2, 7, 50, 1000]);
    const [one, other] = [random.pick(PEOPLE), random.pick(PEOPLE)];
    const isPair = random.chance(0.5);
    const inboxes = random.chance(0.5) ? [one] : ['ann', 'room 1', 'Дора'];
    const all = isPair ? this.#model.between(one, other) : this.#model.inInboxes(inboxes);
    const query = (isPair ? [one, other] : inboxes)
      .map((address) => `${isPair ? 'between' : 'recipient'}=${encodeURIComponent(address)}`)
      .join('&');
    let before = random.chance(0.5) ? Infinity : random.integer(1, this.#model.head + 1);
    for (let pages = 0; pages < 20; pages++) {
      const from = before === Infinity ? 'latest' : String(before);
      const { span, value: page } = await timed(() =>
        pull(this.#server.url, `${query}&before=${from}&limit=${limit}`),
      );
      const candidates = all.filter(({ id }) => id < before);
      checkPageBefore(this.#model, candidates, limit, page, span);
      if (!page.more) break;
      if (page.before === undefined || page.before >= before) {
        throw new Error(`a page of history leads nowhere: ${JSON.stringify(page)}`);
      }
      before = page.before;
    }
  }

  async #listConversations(): Promise<void> {
    const address = this.#random.pick(PEOPLE);
    const limit = this.#random.pick([1, 2, 50]);
    const { span, value: listed } = await timed(async () => {
      const all: WireConversation[] = [];
      for (let before = ''; ;) {
        const answer = await get(
          this.#server.url,
          `/conversations?recipient=${encodeURIComponent(address)}&limit=${limit}${before}`,
        );
        const page = answer.body as {
          conversations: WireConversation[];
          more: boolean;
          before?: number;
        };
        all.push(...page.conversations);
        if (!page.more) return all;
        if (page.before === undefined) throw new Error(`a list leads nowhere: ${JSON.stringify(page)}`);
        before = `&before=${page.before}`;
      }
    });
    checkConversations(this.#model, address, listed, span);
  }

  /** Asks how one pair stands, and how a room does. */
  async #askOne(): Promise<void> {
    const [address, other] = [this.#random.pick(PEOPLE), this.#random.pick(PEOPLE)];
    const ask = (as: 'peer' | 'room'): Promise<{ span: Span; value: WireState }> =>
      timed(async () => {
        const [recipient, one] = [address, other].map(encodeURIComponent);
        const answer = await get(this.#server.url, `/conversations?recipient=${recipient}&${as}=${one}`);
        const { conversations } = answer.body as { conversations: WireState[] };
        return conversations[0] as WireState;
      });
    const pair = await ask('peer');
    checkPair(this.#model, address, other, pair.value, pair.span);
    const room = await ask('room');
    checkRoom(this.#model, address, other, room.value, room.span);
  }

  async #lookUp(): Promise<void> {
    const random = this.#random;
    const passing = this.#model.messages.filter(({ expiresAt }) => expiresAt !== undefined);
    const id =
      random.chance(0.5) && passing.length > 0
        ? random.pick(passing).id
        : random.integer(1, this.#model.head + 2);
    const { span, value: answer } = await timed(() => get(this.#server.url, `/messages/${id}`));
    const stored = this.#model.byId(id);
    const sight = stored === undefined ? 'hidden' : this.#model.sight(stored, span);
    const isShown = answer.status === 200 && JSON.stringify(answer.body) === JSON.stringify(stored);
    const isHidden = answer.status === 404;
    if (sight === 'hidden' && stored !== undefined) this.report.expired++;
    if ((sight === 'there' && !isShown) || (sight === 'hidden' && !isHidden) || (!isShown && !isHidden)) {
      throw new Error(`message ${id} is ${sight}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
  }

  /** Cuts an open device, or lets a closed one come back. */
  async #moveDevice(): Promise<void> {
    const device = this.#random.pick(this.#devices);
    if (device.isOpen) device.cut();
    else await device.open(this.#server.url);
  }

  /** A device without a cursor: it begins with the newest messages. */
  async #visit(): Promise<void> {
    const count = this.#random.integer(0, 30);
    const address = this.#random.pick(PEOPLE);
    const { span, value: stream } = await timed(async () => {
      const opened = await DeviceStream.open(
        this.#server.url,
        `recipient=${encodeURIComponent(address)}&last=${count}`,
      );
      await opened.waitFor('live');
      return opened;
    });
    stream.cut();
    const page = { messages: stream.messages, more: true, cursor: stream.cursor ?? '' };
    checkPageBefore(this.#model, this.#model.inInboxes([address]), count, page, span);
  }

  /** A poll that is held until something comes. */
  async #wait(): Promise<void> {
    const draft = this.#newDraft();
    const inboxes = this.#random.chance(0.5) ? [draft.recipient] : [draft.sender, draft.recipient];
    const query = [...new Set(inboxes)]
      .map((address) => `recipient=${encodeURIComponent(address)}`)
      .join('&');
    const after = this.#model.head;
    const polled = timed(() => pull(this.#server.url, `${query}&after=${after}&wait=20`));
    await sleep(this.#random.integer(0, 10));
    const { span, value: answer } = await timed(() => publish(this.#server.url, draft));
    this.#take([draft], answer, span);
    const { span: pollSpan, value: page } = await polled;
    if (page.messages.length === 0)
      throw new Error(`a held poll brought nothing: ${JSON.stringify({ draft, page })}`);
    checkPageAfter(this.#model, inboxes, after, 100, page, pollSpan);
  }

  /** Waits until each open device has all that there is, and looks at what it got. */
  async #settle(): Promise<void> {
    for (const device of this.#devices) {
      if (!device.isOpen) await device.open(this.#server.url);
      await until(() => device.has(this.#model), `all messages at the device of ${device.inboxes.join()}`);
      this.#checkDevice(device);
    }
  }

  #checkDevice(device: ModelDevice): void {
    for (const { inboxes, from, through, messages, told, since } of device.take()) {
      const candidates = this.#model.inInboxes(inboxes).filter(({ id }) => id > from);
      checkForward(this.#model, candidates, messages, through, { from: since, to: Date.now() }, told);
      this.report.delivered += messages.length;
      if (told) this.report.gaps++;
    }
  }

  async #restart(): Promise<void> {
    const ended = await this.#server.stop();
    if (ended.code !== 0) throw new Error(`the service ended with ${String(ended.code)}: ${ended.stderr}`);
    await this.#begin([]);
  }

  /** Ends the service as a crash does, while it is published. */
  async #kill(): Promise<void> {
    const random = this.#random;
    let left = this.#keep === 0 ? 3 * LARGE_BATCH : this.#keep;
    const sent: Sent[] = [];
    while (left > 0 && sent.length < 8) {
      const count = random.chance(0.5) ? 1 : random.integer(2, Math.min(LARGE_BATCH, Math.max(2, left)));
      if (count > left) break;
      left -= count;
      sent.push(this.#sendNew(count));
      if (random.chance(0.3)) await sleep(random.integer(0, 4));
    }
    await sleep(random.integer(0, 25));
    await this.#server.kill();
    this.report.kills++;
    const answers = await Promise.all(sent.map(({ answer }) => answer));
    await this.#begin(sent.map(({ drafts }, index) => ({ drafts, answer: answers[index] })));
  }

  /** Starts again. What had no answer is there as a whole, or not at all. */
  async #begin(sent: readonly { drafts: readonly Draft[]; answer: Answer | undefined }[]): Promise<void> {
    this.#server = await startServer(this.#database, this.#keep);
    const found = await this.#newMessages();
    const publishes = sent.map(({ drafts, answer }) => {
      const stored =
        answer === undefined
          ? found.filter((message) => drafts.some((draft) => isOf(message, draft)))
          : storedIn(answer, drafts);
      if (answer === undefined) {
        this.report.unanswered++;
        if (stored.length > 0) this.report.unansweredStored++;
      }
      if (stored.length !== 0 && stored.length !== drafts.length) {
        throw new Error(`of a batch of ${drafts.length} messages ${stored.length} are stored`);
      }
      return { drafts, stored };
    });
    const known = new Set(publishes.flatMap(({ stored }) => stored.map(({ id }) => id)));
    const unknown = found.find(({ id }) => !known.has(id));
    if (unknown !== undefined) throw new Error(`stored, and never sent: ${JSON.stringify(unknown)}`);
    this.#takeStored(publishes);
    const there = new Set(found.map(({ id }) => id));
    for (const id of known)
      if (!there.has(id)) throw new Error(`message ${id} was acknowledged, and is lost`);
    for (const { drafts, stored } of publishes) {
      if (stored.length > 0)
        this.#keyed.push(...drafts.filter(({ idempotencyKey }) => idempotencyKey !== undefined));
    }
    for (const device of this.#devices) await device.ended();
  }

  /** Reads the messages that are newer than all that the model knows. */
  async #newMessages(): Promise<WireMessage[]> {
    const messages: WireMessage[] = [];
    for (let after = String(this.#model.head); ;) {
      const page: PulledPage = await pull(this.#server.url, `recipient=*&limit=1000&after=${after}`);
      messages.push(...page.messages);
      after = page.cursor;
      if (idOf(after) < this.#model.head)
        throw new Error(`the head went back to ${after} from ${this.#model.head}`);
      if (!page.more) return messages;
    }
  }

  /** In the end no recipient has more than is kept, but for standing read markers. */
  async #checkKept(): Promise<void> {
    const kept = async (address: string): Promise<number> => {
      const page = await pull(
        this.#server.url,
        `recipient=${encodeURIComponent(address)}&before=latest&limit=1000`,
      );
      return page.messages.filter(({ recipient, type }) => recipient === address && type !== 'read').length;
    };
    for (const address of PEOPLE) {
      await until(
        async () => (await kept(address)) <= this.#keep,
        `at most ${this.#keep} messages of ${address}`,
      );
    }
  }
}

function startServer(database: string, keep: number): Promise<Server> {
  return Server.start({ database, env: { RETENTION_MESSAGES: String(keep) } });
}

/** The same with the fields of its content in another order, and in the background or not: still a repeat. */
function reordered(draft: Draft): Draft {
  const { content, background = false } = draft;
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return draft;
  return {
    ...draft,
    background: !background,
    content: Object.fromEntries(Object.entries(content).reverse()),
  };
}

/** Returns the messages that an answer to new drafts says were stored. */
function storedIn({ status, body }: Answer, drafts: readonly Draft[]): WireMessage[] {
  const stored = (Array.isArray(body) ? body : [body]) as WireMessage[];
  if (status !== 201 || stored.length !== drafts.length) {
    throw new Error(`new messages were not stored: ${status} ${JSON.stringify(body).slice(0, 500)}`);
  }
  return stored;
}

async function timed<T>(run: () => Promise<T>): Promise<{ span: Span; value: T }> {
  const from = Date.now();
  const value = await run();
  return { span: { from, to: Date.now() }, value };
}

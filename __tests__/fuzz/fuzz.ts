/** Throws hostile requests at a server while its streams are read, and tells every law that was broken. */
import type { WireMessage } from '../support/api.ts';
import { CORS_ORIGIN, faultsOf, messagesOf } from './answer-law.ts';
import { FrameLaw } from '../support/frame-law.ts';
import { worthlessTokens } from './hostile-credentials.ts';
import {
  type HostileRequest,
  hostileRequest,
  type Target,
  withEveryWorthlessToken,
} from './hostile-request.ts';
import { ADDRESSES, type Person, personsWithGrants, personsWithoutKey } from '../support/persons.ts';
import type { Random } from '../support/random.ts';
import { Server } from '../support/server.ts';
import { judgeSocket } from './socket-law.ts';
import { SECRET } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { WatchingReader } from './watching-reader.ts';
import { ask, type Exchange, headerOf, type WireAnswer } from './wire-answer.ts';

/** The work of a run, so that a run that did nothing is noticed. */
export interface FuzzReport {
  readonly requests: number;
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** How many messages were stored, and seen on streams by all readers together. */
  readonly stored: number;
  readonly seen: number;
  readonly ephemeral: number;
}

const AT_ONCE = 8;
const MAX_FAULTS = 5;

/** The number of bytes that a connection takes although nobody reads them. */
const MAX_IN_FLIGHT = 32 * 1024;

export class Fuzz {
  readonly #server: Server;
  readonly #target: Target;
  readonly #random: Random;
  readonly #readers: readonly WatchingReader[];
  readonly #faults: string[] = [];
  /** The JSON of what was acknowledged, by id. */
  readonly #acknowledged = new Map<number, string>();
  readonly #statuses: Record<number, number> = {};
  /** How many messages may be stored by requests whose answer did not come. */
  #unanswered = 0;
  #ephemeral = 0;

  private constructor(server: Server, target: Target, random: Random, readers: readonly WatchingReader[]) {
    this.#server = server;
    this.#target = target;
    this.#random = random;
    this.#readers = readers;
  }

  /** Starts a server and a reader for each person. */
  static async start(random: Random, open: boolean): Promise<Fuzz> {
    const env = { PUBLISH_RATE: '0', HEARTBEAT_SECONDS: '1' };
    const server = await Server.start({
      // Answers with files are compared with those of the project.
      isShipped: true,
      env: open ? env : { ...env, AUTH_SECRET: SECRET, CORS_ORIGINS: CORS_ORIGIN },
    });
    const persons = open ? personsWithoutKey() : await personsWithGrants();
    const readers = persons.map((person, index) => {
      const by = open ? 'nothing' : index % 3 === 0 ? 'cookie' : 'bearer';
      const presence = ADDRESSES.filter((address) => person.maySee(address));
      return new WatchingReader(server.url, person, { by, presence });
    });
    for (const reader of readers) await reader.open();
    const tag = /-(\w+)$/.exec(readers.at(-1)?.cursor ?? '')?.[1] ?? '0';
    const worthless = open ? [] : await worthlessTokens();
    const target = { port: server.port, tag, persons, open, worthless };
    return new Fuzz(server, target, random, readers);
  }

  /**
   * Sends so many requests, some at a time, and then looks at what the readers have.
   *
   * @throws {Error} with the first laws that were broken, and by which bytes
   */
  async run(count: number): Promise<FuzzReport> {
    for (const request of withEveryWorthlessToken(this.#target)) {
      this.#judge(request, await ask(this.#target.port, request));
    }
    let left = count;
    const work = async (): Promise<void> => {
      while (left > 0 && this.#faults.length < MAX_FAULTS) {
        left -= 1;
        const request = hostileRequest(this.#random, this.#target);
        this.#judge(request, await ask(this.#target.port, request));
      }
    };
    // One reader after the other is cut and comes back, while the others stay.
    const disturb = async (): Promise<void> => {
      for (let turn = 0; left > 0 && this.#faults.length < MAX_FAULTS; turn++) {
        await this.#readers[turn % this.#readers.length]?.reopen();
      }
    };
    await Promise.all([...Array.from({ length: AT_ONCE }, work), disturb()]);
    this.#fail();
    await this.#settle();
    const log = await this.#judgeDeliveries();
    await this.#judgeProcess();
    this.#fail();
    const seen = this.#readers.reduce((sum, { received }) => sum + received.size, 0);
    return {
      requests: count,
      statuses: this.#statuses,
      stored: log.size,
      seen,
      ephemeral: this.#ephemeral,
    };
  }

  stop(): void {
    for (const reader of this.#readers) reader.cut();
  }

  #judge(request: HostileRequest, { answers, fault, streaming, late = false }: Exchange): void {
    const blame = (what: string, answer?: WireAnswer): void => {
      const sent = request.bytes.toString('latin1').slice(0, 1500);
      const head = answer === undefined ? '' : `${answer.status} ${JSON.stringify(answer.headers)}`;
      const body = answer?.body.toString().slice(0, 1000) ?? '';
      this.#faults.push(`${what}\n  sent: ${JSON.stringify(sent)}\n  answer: ${head}\n  ${body}`);
    };
    if (fault !== undefined) blame(fault);
    // An answer to a part of a long request is lost where the server closes while the rest comes (RFC 9112 §9.6).
    const isDue = request.whole && (late || request.bytes.length < MAX_IN_FLIGHT);
    if (isDue && answers.length === 0) blame('no answer');
    if (!request.whole || answers.length === 0) this.#unanswered += request.publishes;
    for (const answer of answers) {
      this.#statuses[answer.status] = (this.#statuses[answer.status] ?? 0) + 1;
      for (const broken of faultsOf(answer, request, this.#target.open)) blame(broken, answer);
      if (answer.status === 201) {
        this.#acknowledge(request, messagesOf(JSON.parse(answer.body.toString())), blame);
      }
      if (answer.status === 202) this.#ephemeral += 1;
    }
    const last = answers.at(-1);
    if (!streaming || last === undefined) return;
    if (last.status === 101) this.#judgeSocket(request, last, blame);
    else judgeStream(request, last, blame);
  }

  #judgeSocket(request: HostileRequest, { body }: WireAnswer, blame: (what: string) => void): void {
    const { faults, published } = judgeSocket(body, request.barred ? undefined : request.person);
    for (const fault of faults) blame(fault);
    this.#acknowledge(request, published, blame);
    // The connection is cut while answers may be on their way.
    this.#unanswered += request.publishes;
  }

  #acknowledge(
    { person }: HostileRequest,
    messages: readonly WireMessage[],
    blame: (what: string) => void,
  ): void {
    for (const message of messages) {
      if (person?.maySend(message) !== true) blame(`not to be sent: ${JSON.stringify(message)}`);
      this.#acknowledged.set(message.id, JSON.stringify(message));
    }
  }

  /** Sends a last message to every inbox, and waits until each reader has the last of its own. */
  async #settle(): Promise<void> {
    const root = this.#target.persons.at(-1) as Person;
    const body = [...ADDRESSES, root.name].map((recipient) => ({ recipient, content: 'the end' }));
    const response = await fetch(`${this.#server.url}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.#authorization(root) },
      body: JSON.stringify(body),
    });
    const last = (await response.json()) as WireMessage[];
    for (const message of last) this.#acknowledged.set(message.id, JSON.stringify(message));
    for (const reader of this.#readers) {
      const own = last.findLast((message) => reader.person.follows(message))?.id ?? 0;
      await until(
        () => reader.lastId >= own || reader.faults.length > 0,
        `the end on the stream of ${reader.person.name}`,
      );
    }
  }

  /** Checks that each reader has the acknowledged messages of its inboxes, and otherwise only messages without an answer. */
  async #judgeDeliveries(): Promise<ReadonlyMap<number, string>> {
    const root = this.#readers.at(-1) as WatchingReader;
    const log = new Map([...root.received, ...this.#acknowledged]);
    const unknown = [...log.keys()].filter((id) => !this.#acknowledged.has(id));
    if (unknown.length > this.#unanswered) this.#faults.push(`stored without a word: ${unknown.join()}`);
    for (const reader of this.#readers) {
      const { received, person } = reader;
      this.#faults.push(...reader.faults);
      for (const [id, json] of log) {
        const message = JSON.parse(json) as WireMessage;
        const due = person.follows(message) && message.expiresAt === undefined;
        if (due && !received.has(id)) this.#faults.push(`${person.name} did not get ${json}`);
      }
      for (const [id, json] of received) {
        // A reader that was away while a message lived has not seen it.
        const isKnown = log.get(id) === json || (!log.has(id) && json.includes('"expiresAt"'));
        if (!isKnown) this.#faults.push(`${person.name} got ${json}, not ${log.get(id) ?? 'nothing'}`);
      }
    }
    const kept = await this.#pullAll(root.person);
    for (const [id, json] of log) {
      if (!json.includes('"expiresAt"') && kept.get(id) !== json) this.#faults.push(`not kept: ${json}`);
    }
    for (const [id, json] of kept) if (!log.has(id)) this.#faults.push(`kept, and not delivered: ${json}`);
    return log;
  }

  async #pullAll(person: Person): Promise<Map<number, string>> {
    const kept = new Map<number, string>();
    for (let cursor = '0', more = true; more;) {
      const url = `${this.#server.url}/messages?recipient=*&limit=1000&after=${cursor}`;
      const page = (await (await fetch(url, { headers: this.#authorization(person) })).json()) as {
        messages: WireMessage[];
        cursor: string;
        more: boolean;
      };
      for (const message of page.messages) kept.set(message.id, JSON.stringify(message));
      ({ cursor, more } = page);
    }
    return kept;
  }

  async #judgeProcess(): Promise<void> {
    const { url, stderr } = this.#server;
    for (const path of ['/healthz', '/readyz']) {
      const { status } = await fetch(url + path);
      if (status !== 200) this.#faults.push(`${path}: ${status}`);
    }
    const errors = stderr.split('\n').filter((line) => !/^$|"level":[1-4]0/.test(line));
    if (errors.length > 0) this.#faults.push(`${errors.length} errors in the log: ${errors[0] ?? ''}`);
  }

  #authorization({ token }: Person): Record<string, string> {
    return token === '' ? {} : { Authorization: `Bearer ${token}` };
  }

  #fail(): void {
    if (this.#faults.length === 0) return;
    throw new Error(
      `${this.#faults.length} faults:\n${this.#faults.slice(0, MAX_FAULTS).join('\n\n')}\n${this.#server.stderr}`,
    );
  }
}

/** A stream that a request opened: the same laws, for the inboxes that it asked for. */
function judgeStream(
  { person, barred }: HostileRequest,
  answer: WireAnswer,
  blame: (what: string) => void,
): void {
  if (headerOf(answer, 'content-type') !== 'text/event-stream') {
    blame('an answer without an end');
    return;
  }
  if (person === undefined) {
    if (/^event: (?!bye)/m.test(answer.body.toString())) blame('a stream without a good token');
    return;
  }
  if (barred) blame('a stream for one who is barred');
  const law = new FrameLaw({ reader: person, follows: () => true });
  law.feed(answer.body);
  for (const broken of law.faults) blame(broken);
}

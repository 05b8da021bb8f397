/** Persons with narrow grants, and what these allow: written down again, so that it can differ from the service. */
import { signToken } from './tokens.ts';

interface Grants {
  readonly sendAs?: readonly string[];
  readonly sendTo?: readonly string[];
  readonly read?: readonly string[];
  readonly presence?: readonly string[];
  readonly metrics?: boolean;
}

/** The parts of a message by which it belongs to an inbox. */
export interface Route {
  readonly sender: string;
  readonly recipient: string;
}

export class Person {
  readonly name: string;
  readonly token: string;
  /** The inboxes that a stream of this person follows; `*` is the whole log. */
  readonly inboxes: readonly string[];
  readonly #grants: Grants;

  private constructor(name: string, token: string, grants: Grants, inboxes: readonly string[]) {
    this.name = name;
    this.token = token;
    this.#grants = grants;
    this.inboxes = inboxes;
  }

  static async of(name: string, grants: Grants, inboxes: readonly string[] = [name]): Promise<Person> {
    return new Person(name, await signToken({ sub: name, tidings: grants }), grants, inboxes);
  }

  /** Somebody in open mode. */
  static withoutToken(name: string, inboxes: readonly string[]): Person {
    const all = ['*'];
    return new Person(name, '', { sendAs: all, sendTo: all, read: all, metrics: true }, inboxes);
  }

  maySend({ sender, recipient }: Route): boolean {
    return covers(this.#grants.sendAs ?? [this.name], sender) && covers(this.#grants.sendTo ?? [], recipient);
  }

  mayRead({ sender, recipient }: Route): boolean {
    const read = this.#grants.read ?? [this.name];
    return covers(read, sender) || covers(read, recipient);
  }

  maySee(address: string): boolean {
    return covers(this.#grants.presence ?? this.#grants.read ?? [this.name], address);
  }

  get maySeeMetrics(): boolean {
    return this.#grants.metrics === true;
  }

  /** Whether a stream of this person has a message. */
  follows({ sender, recipient }: Route): boolean {
    return this.inboxes.some((inbox) => inbox === '*' || inbox === sender || inbox === recipient);
  }
}

function covers(list: readonly string[], address: string): boolean {
  return list.some((entry) =>
    entry.endsWith('*') ? address.startsWith(entry.slice(0, -1)) : entry === address,
  );
}

/** An address that looks like a frame. U+2028 ends a line for some parsers, though not for this one. */
const FRAME_LIKE = 'x\u2028data: {"type":"bye"}';

/** Every address that a stream may follow. */
export const ADDRESSES = [
  'alice',
  'bob',
  'carol',
  'mallory',
  'room/1',
  'room/2',
  '__proto__',
  'constructor',
  'toString',
  FRAME_LIKE,
] as const;

/** Persons of a service with a key. The last one may do everything. */
export async function personsWithGrants(): Promise<Person[]> {
  return [
    await Person.of('alice', { sendTo: ['bob', 'room/*'] }),
    await Person.of('bob', { sendTo: ['alice'], read: ['bob', 'room/1'] }, ['bob', 'room/1']),
    await Person.of('carol', { sendAs: ['carol', 'bot/*'], sendTo: ['*'], presence: ['*'] }),
    await Person.of('mallory', { sendTo: ['*'], read: ['mallory', 'constructo', 'room/2'] }),
    await Person.of('__proto__', { sendTo: ['constructor', 'toString'], metrics: true }),
    await Person.of('constructor', { sendTo: ['__proto__', FRAME_LIKE] }),
    await Person.of(FRAME_LIKE, { sendTo: ['toString'] }),
    await Person.of('root', { sendAs: ['*'], sendTo: ['*'], read: ['*'] }, ['*']),
  ];
}

/** Readers of a service without a key. The last one follows the whole log. */
export function personsWithoutKey(): Person[] {
  return [...ADDRESSES.map((name) => Person.withoutToken(name, [name])), Person.withoutToken('root', ['*'])];
}

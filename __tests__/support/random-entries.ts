/** Entries of every kind by chance, at times that jump. */
import type { EntryBody, Purge } from '../../src/log/entry.ts';
import type { PushChange } from '../../src/log/push-store.ts';
import type { Draft } from '../../src/message.ts';
import { draft } from './log-file.ts';
import type { Random } from './random.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;
const NAMES = ['alice', 'bob', 'carol', 'room'];
/** Few, so that messages are repeated, and keys are used for something else. */
const CONTENTS = ['"hi"', '{"a":1,"b":2}', '{"b":2,"a":1}', '7'];
const BOUNDS = { devices: 2, recipients: 3, perClient: 4 };

/** Entries by chance, at times of a clock that jumps ahead and back by up to some days. */
export class RandomEntries {
  /** The time that has passed, in milliseconds since the Unix epoch. */
  passed = 1_800_000_000_000;
  readonly #random: Random;
  #jump = 0;
  #epochs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The time that the clock of the order shows. */
  get time(): number {
    return this.passed + this.#jump;
  }

  /** Sets the clock right. */
  settle(): void {
    this.#jump = 0;
  }

  /** Lets some time pass. */
  pass(): void {
    const random = this.#random;
    this.passed += random.pick([0, 1, SECOND, 10 * SECOND, random.chance(0.1) ? 3600 * SECOND : SECOND]);
    if (random.chance(0.02)) this.passed += random.integer(1, 2) * DAY;
    if (random.chance(0.08)) this.#jump = random.pick([0, 0, -DAY, DAY, -3600 * SECOND, 4 * DAY, -5 * DAY]);
  }

  /** Returns the next entry. @param head the highest id given so far */
  next(head: number): EntryBody {
    const random = this.#random;
    const kind = random.integer(0, 99);
    if (kind < 64)
      return {
        kind: 'append',
        batches: Array.from({ length: random.pick([1, 1, 2, 3]) }, () => this.#batch(head)),
      };
    if (kind < 72) return { kind: 'purge', purge: this.#purge(head) };
    if (kind < 90)
      return {
        kind: 'push',
        changes: Array.from({ length: random.integer(1, 4) }, () => this.#change(head)),
      };
    if (kind < 94) {
      // An order that does not know whether its entry was stored proposes it once more, even after those of others.
      if (this.#epochs === 0 || random.chance(0.7)) this.#epochs++;
      const number = random.chance(0.8) ? this.#epochs : random.integer(1, this.#epochs);
      return { kind: 'epoch', epoch: `e${number}` };
    }
    if (kind < 97)
      return {
        kind: 'settings',
        retention: { days: random.integer(0, 3), messages: random.integer(0, 50) },
      };
    return { kind: 'tick', retentionTime: this.passed + random.next() };
  }

  #batch(head: number): Draft[] {
    // Long ones are inserted many rows at once.
    const length = this.#random.chance(0.1)
      ? this.#random.integer(20, 50)
      : this.#random.pick([1, 1, 1, 2, 3]);
    return Array.from({ length }, () => this.#draft(head, length > 3 ? 0.03 : 0.4));
  }

  /** @param special how probable it is that something stored already may stand in its place */
  #draft(head: number, special: number): Draft {
    const random = this.#random;
    const fields = {
      sender: random.pick(NAMES),
      recipient: random.pick(NAMES),
      content: random.pick(CONTENTS),
      type: random.pick(['message', 'message', 'order']),
      ttl: random.pick([null, null, 1, 60, 3600, 86_400, 3 * 86_400]),
      background: random.pick([0, 0, 0, 1] as const),
      idempotencyKey: random.chance(special) ? random.pick(['k', 'l', 'm']) : null,
    };
    if (!random.chance(special / 1.5)) return draft(fields);
    const messageId = random.pick([
      random.integer(0, head),
      random.integer(0, 3),
      head + random.integer(1, 9),
    ]);
    return draft({
      ...fields,
      type: 'read',
      content: JSON.stringify({ messageId }),
      ttl: null,
      background: 0,
      readsRecipient: random.chance(0.5),
    });
  }

  #purge(head: number): Purge {
    const random = this.#random;
    // The clock of the proposer is another one.
    const now = this.passed + random.pick([0, -DAY, DAY, 10 * DAY]);
    const limit = random.integer(1, 30);
    const after = random.chance(0.3) ? 0 : random.integer(0, head);
    switch (random.integer(0, 3)) {
      case 0:
        return { by: 'expiry', now, limit };
      case 1:
        return { by: 'expiry', now, limit, from: after, expiredAfter: now - random.integer(0, DAY) };
      case 2:
        return { by: 'age', now, limit, after, age: random.pick([3600 * SECOND, DAY, 3 * DAY]) };
      default:
        return {
          by: 'count',
          now,
          limit,
          recipient: random.pick(NAMES),
          after,
          through: random.integer(Math.max(0, head - 60), head),
        };
    }
  }

  #change(head: number): PushChange {
    const random = this.#random;
    const id = random.integer(1, 12);
    const endpoint = `https://push.example/${random.integer(1, 4)}`;
    switch (random.integer(0, 7)) {
      case 0:
        return {
          kind: 'unsubscribe',
          endpoint,
          recipient: random.chance(0.5) ? random.pick(NAMES) : undefined,
          limit: random.integer(1, 3),
        };
      case 1:
        return { kind: 'remove', id };
      case 2:
        return { kind: 'through', id, through: random.integer(0, head) };
      case 3:
      case 4: {
        const kind = random.pick(['notified', 'closed'] as const);
        return { kind, id, peer: random.pick(NAMES), messageId: random.integer(1, head + 1) };
      }
      default:
        return {
          kind: 'subscribe',
          subscription: {
            client: random.pick([null, 'eve', 'frank']),
            recipient: random.pick(NAMES),
            reader: random.pick(NAMES),
            endpoint,
            p256dh: 'key',
            auth: `secret ${random.integer(1, 9)}`,
            expirationTime: null,
          },
          bounds: BOUNDS,
        };
    }
  }
}

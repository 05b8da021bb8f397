import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { publish, type WireMessage } from '../support/api.ts';
import { headCursor, pullAll } from '../support/pull.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterAll(cleanUp);

const ROUNDS = 15;
const PUBLISHERS = 6;
const PEOPLE = ['ann', 'ben', 'cleo'];

/** One message that somebody wants to be in the log, once. */
interface Wish {
  readonly sender: string;
  readonly recipient: string;
  readonly content: string;
  readonly idempotencyKey: string;
}

test('a server that is killed again and again loses no acknowledged message, and repeats none', async () => {
  await withRandom(async (random) => {
    const database = join(newFolder(), 'tidings.sqlite');
    const acknowledged = new Map<string, WireMessage>();
    /** All messages that a device was shown, by id. */
    const shown = new Map<number, string>();
    /** The messages that each publisher has sent and has no answer to. */
    const unanswered: (Wish[] | undefined)[] = Array.from({ length: PUBLISHERS });
    const seen = PEOPLE.map((): number[] => []);
    const cursors = PEOPLE.map(() => '0');
    let wishes = 0;
    let repeats = 0;
    let highest = 0;

    const newWish = (): Wish => ({
      sender: random.pick(PEOPLE),
      recipient: random.pick(PEOPLE),
      content: `wish ${++wishes} ${'x'.repeat(random.integer(0, 300))}`,
      idempotencyKey: `key ${wishes}`,
    });

    /** Publishes until the server is gone; begins with what had no answer in the round before. */
    const publishAll = async (server: Server, index: number, isFinal: boolean): Promise<void> => {
      for (;;) {
        const again = unanswered[index];
        if (isFinal && again === undefined) return;
        const batch =
          again ?? Array.from({ length: random.chance(0.6) ? 1 : random.integer(2, 40) }, newWish);
        unanswered[index] = batch;
        let answer;
        try {
          answer = await publish(server.url, batch.length === 1 ? batch[0] : batch);
        } catch {
          return; // killed
        }
        expect([200, 201]).toContain(answer.status);
        if (answer.status === 200) repeats++;
        unanswered[index] = undefined;
        const stored = [answer.body as WireMessage[]].flat();
        expect(stored.map(({ idempotencyKey }) => idempotencyKey)).toEqual(
          batch.map(({ idempotencyKey }) => idempotencyKey),
        );
        for (const message of stored) acknowledged.set(message.idempotencyKey ?? '', message);
      }
    };

    for (let round = 1; round <= ROUNDS; round++) {
      const server = await Server.start({ database });
      const isFinal = round === ROUNDS;
      // Ids go on behind everything that was ever seen.
      const head = Number.parseInt(await headCursor(server.url));
      expect(head).toBeGreaterThanOrEqual(highest);
      const devices = await Promise.all(
        PEOPLE.map((person, index) =>
          DeviceStream.open(server.url, `recipient=${person}`, { lastEventId: cursors[index] ?? '0' }),
        ),
      );
      const publishing = Promise.all(unanswered.map((_, index) => publishAll(server, index, isFinal)));
      if (isFinal) {
        await publishing;
        for (const [index, device] of devices.entries()) {
          const own = [...acknowledged.values()].filter((message) => isOf(PEOPLE[index] ?? '', message));
          const last = Math.max(...own.map(({ id }) => id));
          await until(() => (device.ids.at(-1) ?? seen[index]?.at(-1) ?? 0) >= last, `message ${last}`);
        }
      } else {
        await sleep(random.integer(0, 150));
        await server.kill();
        await publishing;
        await Promise.all(devices.map((device) => device.waitForEnd()));
      }
      for (const [index, device] of devices.entries()) {
        expect(device.gap ?? false).toBe(false);
        seen[index]?.push(...device.ids);
        cursors[index] = device.cursor ?? cursors[index] ?? '0';
        for (const { id, idempotencyKey = '' } of device.messages) {
          expect(shown.get(id) ?? idempotencyKey).toBe(idempotencyKey);
          shown.set(id, idempotencyKey);
        }
        device.cut();
      }
      highest = Math.max(highest, ...shown.keys(), ...[...acknowledged.values()].map(({ id }) => id));
      if (!isFinal) continue;

      const log = await pullAll(server.url, '*');
      const ids = log.map(({ id }) => id);
      expect(ids).toEqual([...new Set(ids)].sort((one, other) => one - other));
      const byKey = new Map(log.map((message) => [message.idempotencyKey, message]));
      expect(byKey.size).toBe(log.length);
      expect(log.length).toBe(wishes);
      expect(acknowledged.size).toBe(wishes);
      for (const [key, message] of acknowledged) expect(byKey.get(key)).toEqual(message);
      for (const [id, key] of shown) expect(byKey.get(key)?.id).toBe(id);
      for (const [index, person] of PEOPLE.entries()) {
        expect(seen[index]).toEqual(log.filter((message) => isOf(person, message)).map(({ id }) => id));
      }
    }
    // The test has seen what it is about: publishes that were stored, but not answered.
    expect(repeats).toBeGreaterThan(0);
  });
});

function isOf(person: string, { sender, recipient }: WireMessage): boolean {
  return sender === person || recipient === person;
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, get, publish, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { rawForm } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

const idOf = (answer: Answer) => (answer.body as WireMessage).id;
const keyed = (recipient: string, idempotencyKey: string, fields: Record<string, unknown> = {}) => ({
  recipient,
  idempotencyKey,
  content: 'hi',
  ...fields,
});

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** Returns the stored messages of an address. */
async function stored(address: string): Promise<WireMessage[]> {
  const { messages } = (await get(server.url, `/messages?recipient=${address}`)).body as {
    messages: WireMessage[];
  };
  return messages;
}

describe('an idempotency key', () => {
  test('an idempotency key that is sent 30 times at once stores one message, and every answer is that message', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=amy');
    await device.waitFor('live');
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => publish(server.url, keyed('amy', 'once'))),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      ...Array<number>(29).fill(200),
      201,
    ]);
    const [only] = await stored('amy');
    for (const answer of answers) expect(answer.body).toEqual(only);
    const last = await send(server.url, 'amy', 'last');
    await until(() => device.ids.includes(last.id));
    expect(device.messages).toEqual([only, last]);
  });

  test('an idempotency key comes back with its message in answers, streams and lists', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=ben');
    await device.waitFor('live');
    const answer = await publish(server.url, keyed('ben', 'shown'));
    expect(answer.body).toMatchObject({ idempotencyKey: 'shown' });
    expect(await device.waitForMessages(1)).toEqual([answer.body]);
    expect(await stored('ben')).toEqual([answer.body]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['content', { content: 'other' }],
    ['content of another kind', { content: ['hi'] }],
    ['type', { type: 'note' }],
  ])('an idempotency key with another %s is 422 and stores nothing', async (what, fields) => {
    const to = `cy-${what.replaceAll(' ', '-')}`;
    const first = await publish(server.url, keyed(to, 'k'));
    expectProblem(await publish(server.url, keyed(to, 'k', fields)), 422, ['/idempotencyKey']);
    expect(await stored(to)).toEqual([first.body]);
    expect((await publish(server.url, keyed(to, 'k'))).status).toBe(200);
  });

  test('an idempotency key with another ttl or background is a repeat of the first message, which stays as it is', async () => {
    const first = await publish(server.url, keyed('cyd', 'k', { background: true }));
    expect(first).toMatchObject({ status: 201, body: { background: true } });
    for (const fields of [{}, { background: false }, { ttl: 60 }]) {
      expect(await publish(server.url, keyed('cyd', 'k', fields))).toMatchObject({
        status: 200,
        body: first.body as object,
      });
    }
    expect(await stored('cyd')).toEqual([first.body]);
  });

  test('the same idempotency key of another sender or recipient is another message', async () => {
    const bodies = [
      keyed('dan', 'k', { sender: 'ann' }),
      keyed('dan', 'k', { sender: 'bea' }),
      keyed('eve', 'k', { sender: 'ann' }),
      keyed('ann', 'k', { sender: 'dan' }),
      keyed('dan', 'K', { sender: 'ann' }),
      keyed('dan', 'k '.trim() + '\u0301', { sender: 'ann' }),
    ];
    const ids = [];
    for (const body of bodies) {
      const answer = await publish(server.url, body);
      expect(answer.status).toBe(201);
      ids.push(idOf(answer));
    }
    expect(new Set(ids).size).toBe(bodies.length);
    for (const [index, body] of bodies.entries()) {
      expect(await publish(server.url, body)).toMatchObject({ status: 200, body: { id: ids[index] } });
    }
  });

  test('an idempotency key is a repeat whatever the order of the fields in content', async () => {
    const content = { a: 1, b: { c: [1, { d: 2, e: 3 }], f: null } };
    const first = await publish(server.url, keyed('fay', 'order', { content }));
    const turned = { b: { f: null, c: [1, { e: 3, d: 2 }] }, a: 1 };
    const again = await publish(server.url, keyed('fay', 'order', { content: turned }));
    expect(again).toMatchObject({ status: 200, body: { id: idOf(first) } });
    const list = { ...content, b: { c: [{ d: 2, e: 3 }, 1], f: null } };
    expectProblem(await publish(server.url, keyed('fay', 'order', { content: list })), 422);
  });

  test('an idempotency key still counts after a crash and a restart', async () => {
    const before = await Server.start();
    const first = await publish(before.url, keyed('gus', 'k'));
    await before.kill();
    const after = await Server.start({ database: before.database });
    expect(await publish(after.url, keyed('gus', 'k'))).toMatchObject({
      status: 200,
      body: first.body as object,
    });
    await after.stop();
  });

  test('an idempotency key is free again once its first message has expired', async () => {
    const first = await publish(server.url, keyed('hal', 'k', { ttl: 1 }));
    expect(first.status).toBe(201);
    await until(async () => (await stored('hal')).length === 0);
    const second = await publish(server.url, keyed('hal', 'k', { content: 'other' }));
    expect(second.status).toBe(201);
    expect(idOf(second)).toBeGreaterThan(idOf(first));
    expect(await stored('hal')).toEqual([second.body]);
  });
});

describe('the header Idempotency-Key', () => {
  test('the header Idempotency-Key sets the key of a single message, in JSON or in a form', async () => {
    const first = await publish(server.url, { recipient: 'ian', content: 'hi' }, { 'Idempotency-Key': 'h' });
    expect(first).toMatchObject({ status: 201, body: { idempotencyKey: 'h' } });
    const again = await publish(server.url, keyed('ian', 'h'));
    expect(again).toMatchObject({ status: 200, body: first.body as object });
    const form = await rawForm(server.port, 'recipient=ian&content=hi', { 'Idempotency-Key': 'h' });
    expect(form).toMatchObject({ status: 200, body: first.body as object });
  });

  test.each<[string, unknown, string]>([
    ['with a batch', [{ recipient: 'ida', content: 1 }], 'h'],
    ['with another key in the body', keyed('ida', 'b'), 'h'],
    ['with 129 characters', { recipient: 'ida', content: 1 }, 'k'.repeat(129)],
  ])('the header Idempotency-Key is refused %s', async (_what, body, key) => {
    expectProblem(await publish(server.url, body, { 'Idempotency-Key': key }), 400);
    expect(await stored('ida')).toEqual([]);
  });
});

describe('idempotency keys in a batch', () => {
  test('a repeat in a batch answers its first message, be it stored before or in the batch', async () => {
    const before = await publish(server.url, keyed('jan', 'a'));
    const batch = [
      keyed('jan', 'b'),
      keyed('jan', 'a'),
      { recipient: 'jan', content: 'no key' },
      keyed('jan', 'b'),
      keyed('jan', 'c'),
    ];
    const answer = await publish(server.url, batch);
    const [b, a, none, b2, c] = answer.body as WireMessage[];
    expect(answer.status).toBe(201);
    expect(a).toEqual(before.body);
    expect(b2).toEqual(b);
    expect(await stored('jan')).toEqual([a, b, none, c]);
  });

  test('a batch that stores nothing new is answered with 200', async () => {
    const batch = [keyed('kim', 'a'), keyed('kim', 'b')];
    const first = await publish(server.url, batch);
    const again = await publish(server.url, batch);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect(await stored('kim')).toHaveLength(2);
  });

  test('a batch whose key conflicts with a stored message, or within the batch, is 422 and stores nothing', async () => {
    const first = await publish(server.url, keyed('lea', 'a'));
    const stale = [
      keyed('lea', 'n'),
      { recipient: 'lea', content: 1 },
      keyed('lea', 'a', { content: 'other' }),
    ];
    expectProblem(await publish(server.url, stale), 422, ['/2/idempotencyKey']);
    const within = [keyed('lea', 'x'), keyed('lea', 'y'), keyed('lea', 'x', { type: 'note' })];
    expectProblem(await publish(server.url, within), 422, ['/2/idempotencyKey']);
    expect(await stored('lea')).toEqual([first.body]);
    expect((await publish(server.url, keyed('lea', 'n', { content: 'free' }))).status).toBe(201);
  });

  test('a batch that is sent 10 times at once is stored once', async () => {
    const batch = Array.from({ length: 20 }, (_, index) => keyed('max', `k${index}`, { content: index }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => publish(server.url, batch)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const all = await stored('max');
    expect(all).toHaveLength(20);
    for (const { body } of answers) expect(body).toEqual(all);
  });
});

import { describe, expect, test } from '@jest/globals';
import { messagePayload, readPayload } from '../../src/push/payload.ts';
import { message } from '../support/log-file.ts';

const MAX_BYTES = 3072;
const facts = { peer: 'alice', cursor: '7-k3f9ab', unread: 3 };

interface Payload {
  readonly content: unknown;
  readonly shortened?: boolean;
}

const payloadOf = (content: unknown, fields = {}): string =>
  messagePayload(message(7, { content: JSON.stringify(content), ...fields }), facts);
const parsed = (text: string): Payload => JSON.parse(text) as Payload;

test('the notification of a short message has all of its content', () => {
  expect(parsed(payloadOf({ a: [1, null] }))).toEqual({
    type: 'message',
    recipient: 'bob',
    sender: 'alice',
    peer: 'alice',
    id: 7,
    cursor: '7-k3f9ab',
    createdAt: '1970-01-01T00:16:40.000Z',
    unread: 3,
    content: { a: [1, null] },
  });
});

test('a notification has the type of its message if that is not the default', () => {
  expect(parsed(payloadOf(1, { type: 'order' }))).toMatchObject({ type: 'message', messageType: 'order' });
  const longest = payloadOf('x'.repeat(4000), { type: 't'.repeat(64) });
  expect(Buffer.byteLength(longest)).toBe(MAX_BYTES);
});

test('a notification says when its message expires, if it does', () => {
  expect(parsed(payloadOf(1, { ttl: 1000 }))).toMatchObject({
    expiresAt: '1970-01-01T00:33:20.000Z',
  });
});

test('the notice of a read conversation says how far it was read', () => {
  const told = { recipient: 'bob', peer: 'alice', through: 7, unread: 0 };
  expect(parsed(readPayload(told))).toEqual({ type: 'read', ...told });
});

describe('long content', () => {
  test('content is sent whole if it fits to the last byte', () => {
    const room = MAX_BYTES - Buffer.byteLength(payloadOf(''));
    const whole = payloadOf('x'.repeat(room));
    expect([Buffer.byteLength(whole), parsed(whole).shortened]).toEqual([MAX_BYTES, undefined]);
    const cut = payloadOf('x'.repeat(room + 1));
    expect([Buffer.byteLength(cut), parsed(cut).shortened]).toEqual([MAX_BYTES, true]);
  });

  test.each(['x', 'é', '漢', '😀', '"', '\\', '\n', '\u0001', '\ud83d\ude00"é'])(
    'content of many %j is cut between two of them, as late as possible',
    (character) => {
      for (let before = 0; before < 12; before++) {
        const text = 'x'.repeat(before) + character.repeat(4000);
        const payload = payloadOf(text);
        const { content, shortened } = parsed(payload);
        expect(shortened).toBe(true);
        expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(MAX_BYTES);
        expect(Buffer.byteLength(payload)).toBeGreaterThan(MAX_BYTES - 12);
        expect((content as string).isWellFormed()).toBe(true);
        expect(text.startsWith(content as string)).toBe(true);
      }
    },
  );

  test('long content that is not a string is sent as the beginning of its JSON', () => {
    const value = Array.from({ length: 2000 }, (_, index) => index);
    const { content, shortened } = parsed(payloadOf(value));
    expect(shortened).toBe(true);
    expect(JSON.stringify(value).startsWith(content as string)).toBe(true);
  });

  test('long content has room beside the longest addresses', () => {
    const address = '𝔞'.repeat(128);
    const content = JSON.stringify('x'.repeat(4000));
    const long = message(7, { content, sender: address, recipient: address });
    const payload = messagePayload(long, { ...facts, peer: address });
    expect(Buffer.byteLength(payload)).toBe(MAX_BYTES);
    expect((parsed(payload).content as string).length).toBeGreaterThan(1000);
  });
});

import { describe, expect, test } from '@jest/globals';
import { messagePayload, readPayload } from '../../src/push/payload.ts';
import { draft } from '../support/log-file.ts';

const MOST_BYTES = 3072;
const facts = { peer: 'alice', cursor: '7-k3f9ab', unread: 3 };

interface Payload {
  readonly content: unknown;
  readonly shortened?: boolean;
}

const payloadOf = (content: unknown, fields = {}): string =>
  messagePayload({ ...draft({ content: JSON.stringify(content), ...fields }), id: 7 }, facts);
const parsed = (text: string): Payload => JSON.parse(text) as Payload;

test('a short message is told whole', () => {
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

test('the type of a message is told if it is one of its own', () => {
  expect(parsed(payloadOf(1, { type: 'order' }))).toMatchObject({ type: 'message', messageType: 'order' });
  const longest = payloadOf('x'.repeat(4000), { type: 't'.repeat(64) });
  expect(Buffer.byteLength(longest)).toBe(MOST_BYTES);
});

test('what was read is told with how far', () => {
  const told = { recipient: 'bob', peer: 'alice', through: 7, unread: 0 };
  expect(parsed(readPayload(told))).toEqual({ type: 'read', ...told });
});

describe('content that is too long', () => {
  test('is whole up to the last byte that there is room for', () => {
    const room = MOST_BYTES - Buffer.byteLength(payloadOf(''));
    const whole = payloadOf('x'.repeat(room));
    expect([Buffer.byteLength(whole), parsed(whole).shortened]).toEqual([MOST_BYTES, undefined]);
    const cut = payloadOf('x'.repeat(room + 1));
    expect([Buffer.byteLength(cut), parsed(cut).shortened]).toEqual([MOST_BYTES, true]);
  });

  test.each(['x', 'é', '漢', '😀', '"', '\\', '\n', '\u0001', '\ud83d\ude00"é'])(
    'of many %j is cut between two of them, and as late as can be',
    (character) => {
      for (let before = 0; before < 12; before++) {
        const text = 'x'.repeat(before) + character.repeat(4000);
        const payload = payloadOf(text);
        const { content, shortened } = parsed(payload);
        expect(shortened).toBe(true);
        expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(MOST_BYTES);
        expect(Buffer.byteLength(payload)).toBeGreaterThan(MOST_BYTES - 12);
        expect((content as string).isWellFormed()).toBe(true);
        expect(text.startsWith(content as string)).toBe(true);
      }
    },
  );

  test('that is no text is told as the beginning of its JSON', () => {
    const value = Array.from({ length: 2000 }, (_, index) => index);
    const { content, shortened } = parsed(payloadOf(value));
    expect(shortened).toBe(true);
    expect(JSON.stringify(value).startsWith(content as string)).toBe(true);
  });

  test('has room also beside the longest addresses', () => {
    const address = '𝔞'.repeat(128);
    const message = {
      ...draft({ content: JSON.stringify('x'.repeat(4000)), sender: address, recipient: address }),
      id: 7,
    };
    const payload = messagePayload(message, { ...facts, peer: address });
    expect(Buffer.byteLength(payload)).toBe(MOST_BYTES);
    expect((parsed(payload).content as string).length).toBeGreaterThan(1000);
  });
});

import { describe, expect, test } from '@jest/globals';
import type { Message } from '../../src/message.ts';
import { webSocketFraming } from '../../src/ws/frame.ts';
import { readFrame } from '../support/raw-socket.ts';

const MESSAGE: Message = {
  id: 42,
  sender: 'alice',
  recipient: 'bob',
  type: 'message',
  content: '"hé 🙂"',
  createdAt: 0,
  idempotencyKey: null,
  expiresAt: null,
  background: 0,
};

/** The header of an unmasked text message (RFC 6455 §5.2), for lengths around each border. */
const HEADERS: readonly [length: number, header: string][] = [
  [0, '8100'],
  [1, '8101'],
  [125, '817d'],
  [126, '817e007e'],
  [127, '817e007f'],
  [255, '817e00ff'],
  [256, '817e0100'],
  [65_535, '817effff'],
  [65_536, '817f0000000000010000'],
  [70_000, '817f0000000000011170'],
];

describe('a WebSocket frame', () => {
  test.each(HEADERS)('a WebSocket frame of %d bytes has the header %s', (length, header) => {
    const text = 'x'.repeat(length);
    expect(webSocketFraming.encode([text])).toEqual(
      Buffer.concat([Buffer.from(header, 'hex'), Buffer.from(text)]),
    );
    expect(webSocketFraming.byteLength(text)).toBe(header.length / 2 + length);
  });

  test('the length of a WebSocket frame is that of its UTF-8', () => {
    const short = ['é'.repeat(62), 'é'.repeat(63), '🙂'.repeat(31), '🙂'.repeat(32)];
    for (const text of [...short, '€'.repeat(22_000)]) {
      const bytes = webSocketFraming.encode([text]);
      expect(readFrame(bytes)).toEqual({ first: 0x81, payload: Buffer.from(text), bytes });
      expect(webSocketFraming.byteLength(text)).toBe(bytes.length);
    }
  });

  test('each text becomes one WebSocket frame, and no texts become none', () => {
    const texts = ['a', '', 'x'.repeat(126), 'é', 'y'.repeat(65_536)];
    expect(webSocketFraming.encode(texts)).toEqual(
      Buffer.concat(texts.map((text) => webSocketFraming.encode([text]))),
    );
    expect(webSocketFraming.encode([])).toHaveLength(0);
  });
});

describe('an event on a WebSocket', () => {
  test('an event on a WebSocket is an object of event, id and data', () => {
    expect(webSocketFraming.message(MESSAGE, '42-k3f9ab')).toBe(
      '{"event":"message","id":"42-k3f9ab","data":{"id":42,"sender":"alice","recipient":"bob","type":"message",' +
        '"content":"hé 🙂","createdAt":"1970-01-01T00:00:00.000Z"}}',
    );
    expect(
      webSocketFraming.event('live', { cursor: '42-k3f9ab', replayed: 1 }, { cursor: '42-k3f9ab' }),
    ).toBe('{"event":"live","id":"42-k3f9ab","data":{"type":"live","cursor":"42-k3f9ab","replayed":1}}');
  });

  test('an event on a WebSocket has no id if it does not change the position, and retry if an event stream has it', () => {
    const ephemeral = JSON.parse(webSocketFraming.ephemeral(MESSAGE)) as object;
    expect(Object.keys(ephemeral)).toEqual(['event', 'data']);
    expect(webSocketFraming.event('heartbeat', { at: 'now' })).toBe(
      '{"event":"heartbeat","data":{"type":"heartbeat","at":"now"}}',
    );
    expect(webSocketFraming.event('bye', { reason: 'shutdown' }, { cursor: '0', retry: 1500 })).toBe(
      '{"event":"bye","id":"0","data":{"type":"bye","reason":"shutdown"},"retry":1500}',
    );
  });
});

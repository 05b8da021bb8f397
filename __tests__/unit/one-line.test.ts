import { describe, expect, test } from '@jest/globals';
import { ContentTooLarge, readPublication } from '../../src/publish/draft.ts';
import { asEphemeral, type Draft, withId } from '../../src/message.ts';
import { sseFraming } from '../../src/sse/frame.ts';

/** All at which Python's str.splitlines() ends a line. */
const LINE_ENDS = '\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029';

const draft: Draft = {
  sender: 'a\u2028b',
  recipient: 'c\u2029d',
  type: 'message',
  content: JSON.stringify({ [LINE_ENDS]: [LINE_ENDS, `\\u2028${LINE_ENDS}\\`] }),
  idempotencyKey: LINE_ENDS,
  ttl: null,
  background: 0,
};

describe('a block of an event stream', () => {
  const shown = {
    sender: draft.sender,
    recipient: draft.recipient,
    type: draft.type,
    content: JSON.parse(draft.content) as unknown,
    createdAt: '1970-01-01T00:00:00.000Z',
    idempotencyKey: LINE_ENDS,
  };
  test.each<[string, string, unknown]>([
    [
      'a stored message',
      sseFraming.message(withId(7, { time: 0, createdAt: 0 }, draft), '7-k3f9ab'),
      { id: 7, ...shown },
    ],
    ['an ephemeral message', sseFraming.ephemeral(asEphemeral(draft, 0)), shown],
    [
      'an event of the server',
      sseFraming.event('presence', { recipient: 'x\u2028y', online: true, devices: 1, lastSeen: null }),
      { type: 'presence', recipient: 'x\u2028y', online: true, devices: 1, lastSeen: null },
    ],
  ])(
    'a block of an event stream has one line of data, however its reader splits lines: %s',
    (_what, text, value) => {
      const bytes = sseFraming.encode([text]);
      const block = bytes.toString();
      const lines = block.split(new RegExp(`[${LINE_ENDS}]`));
      expect(lines.filter((line) => !/^(id|event): [\w-]+$/.test(line))).toEqual([
        expect.stringMatching(/^data: /),
        '',
        '',
      ]);
      const data = lines.find((line) => line.startsWith('data: ')) ?? '';
      expect(JSON.parse(data.slice('data: '.length))).toEqual(value);
      expect(sseFraming.byteLength(text)).toBe(bytes.length);
    },
  );
});

test('the size of content is its size in a stream, so that a line stays under 64 KiB', () => {
  const read = (content: string): unknown =>
    readPublication({ recipient: 'bob', content }, '', { defaultSender: 'alice', mayRead: () => true }, []);
  const most = 48 * 1024 - 2;
  for (const [end, bytes] of [
    ['x', 1],
    ['ü', 2],
    ['\u0085', 6],
    ['\u2028', 6],
    ['\u2029', 6],
  ] as const) {
    const content = end.repeat(Math.floor(most / bytes));
    expect(read(content)).toBeDefined();
    expect(() => read(content + end)).toThrow(ContentTooLarge);
  }
});

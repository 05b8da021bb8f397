import { describe, expect, test } from '@jest/globals';
import { SocketLaw, StreamLaw } from '../support/wire-law.js';

const AT = '2026-11-21T01:23:45.678Z';
const READY = block({
  event: 'ready',
  retry: 2140,
  data: '{"type":"ready","cursor":"4-k3f9ab","gap":false,"heartbeatSeconds":15}',
  id: '4-k3f9ab',
});
const LIVE = block({
  event: 'live',
  data: '{"type":"live","cursor":"4-k3f9ab","replayed":0}',
  id: '4-k3f9ab',
});
const HEARTBEAT = block({ event: 'heartbeat', data: `{"type":"heartbeat","at":"${AT}"}` });
const PRESENCE = block({
  event: 'presence',
  data: '{"type":"presence","recipient":"bob","online":true,"devices":1,"lastSeen":null}',
});
const BYE = block({
  event: 'bye',
  retry: 2000,
  data: '{"type":"bye","reason":"shutdown"}',
  id: '6-k3f9ab',
});
const EPHEMERAL = block({ data: messageJson() });
const GOOD = [READY, PRESENCE, LIVE, message(5), HEARTBEAT, EPHEMERAL, message(6), BYE].join('');

interface Fields {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: number;
  readonly data: string;
}

/** A block with its fields in the order in which they are given. */
function block(fields: Fields): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}\n`);
  return `${lines.join('')}\n`;
}

function messageJson(id?: number, content = '"hi"'): string {
  const first = id === undefined ? '' : `"id":${id},`;
  return `{${first}"sender":"alice","recipient":"bob","type":"message","content":${content},"createdAt":"${AT}"}`;
}

function message(id: number, content?: string): string {
  return block({ data: messageJson(id, content), id: `${id}-k3f9ab` });
}

function judge(bytes: Uint8Array | string, brought?: number): string[] {
  const law = new StreamLaw(brought);
  law.feed(Buffer.from(bytes));
  return law.faults;
}

describe('the law of an event stream', () => {
  test('the law of an event stream accepts the samples of the protocol, in pieces of any size', () => {
    const content = '"ü🎉 \\u2028 \\n"';
    for (const size of [1, 2, 3, 7, 1000]) {
      const bytes = Buffer.from(READY + LIVE + message(5, content) + HEARTBEAT + EPHEMERAL + BYE);
      const law = new StreamLaw(4);
      for (let at = 0; at < bytes.length; at += size) law.feed(bytes.subarray(at, at + size));
      expect(law.faults).toEqual([]);
      expect(law.isWithin).toBe(false);
    }
    expect(judge(GOOD)).toEqual([]);
  });

  test('the law of an event stream accepts a stream that only says why it does not begin', () => {
    expect(judge(block({ event: 'bye', retry: 9000, data: '{"type":"bye","reason":"over-limit"}' }))).toEqual(
      [],
    );
  });

  test('the law of an event stream accepts a start before the given cursor if the stream says why', () => {
    const restored = READY.replace('false', '"restored"').replaceAll('4-k3f9ab', '0');
    expect(judge(restored, 99)).toEqual([]);
    expect(judge(READY, 4)).toEqual([]);
    expect(judge(READY, 5)).toEqual([expect.stringMatching(/^another beginning than 5/)]);
    expect(judge(READY.replace('false', '"purged"'), 3)).toHaveLength(1);
  });

  test('the law of an event stream judges bytes of another stream again by their place in this one', () => {
    const bytes = Buffer.from(message(5));
    const [one, other] = [new StreamLaw(undefined), new StreamLaw(undefined)];
    for (const law of [one, other]) law.feed(Buffer.from(READY + LIVE));
    one.feed(bytes);
    other.feed(bytes);
    expect([...one.faults, ...other.faults]).toEqual([]);
    other.feed(bytes);
    expect(other.faults).toEqual([expect.stringMatching(/^again, after 5/)]);
  });

  test('the law of an event stream sees that a stream ends within a block', () => {
    const law = new StreamLaw(undefined);
    law.feed(Buffer.from(GOOD.slice(0, -1)));
    expect(law.isWithin).toBe(true);
  });

  test.each<[string, string | Uint8Array]>([
    ['0 lines of data', READY.replace(/data: .*\n/, '')],
    ['0 lines of data', `retry: 2000\n\n${READY}`],
    ['2 lines of data', READY + LIVE + message(5).replace('data: ', 'data: \ndata: ')],
    ['no block of event, retry, data and id', `${READY}\n${LIVE}`],
    ['a comment', `${READY}: keep-alive\n\n`],
    ['a comment', `${READY}:\n${LIVE}`],
    ['a line end other than LF', READY.replaceAll('\n', '\r\n')],
    ...['\r', '\u0085', '\u2028', '\u2029'].map((end): [string, string] => [
      'a line end other than LF',
      READY + LIVE + message(5, `"${end}"`),
    ]),
    ['not UTF-8', Buffer.concat([Buffer.from(READY + LIVE), Buffer.from([0x64, 0xc3, 0x28])])],
    ['no block of event, retry, data and id', `\ufeff${READY}`],
    ['no block of event, retry, data and id', block({ data: '{}', event: 'bye' })],
    ['no block of event, retry, data and id', READY.replace('event: ', 'event:')],
    ['no block of event, retry, data and id', `${READY}id: 4-k3f9ab\n${LIVE.replace(/id: .*\n/, '')}`],
    ['no block of event, retry, data and id', READY.replace('retry: 2140', 'retry: 2.1')],
    ['no block of event, retry, data and id', READY + LIVE + block({ data: '"hi"' })],
    ['no JSON object', READY + LIVE + block({ data: '{"type":}' })],
    ['no JSON object', READY + LIVE + message(5, '"\u0001"')],
    ['64 KiB or more', READY + LIVE + message(5, `"${'ü'.repeat(32 * 1024)}"`)],
    ['before ready', message(5)],
    ['before ready', LIVE + READY],
    ['after bye', BYE + HEARTBEAT],
    ['after bye', READY + BYE + BYE],
    ['a second ready', READY + READY],
    ['a second live', READY + LIVE + LIVE],
    ['not 0 replayed', READY + LIVE.replace('"replayed":0', '"replayed":1')],
    ['not 1 replayed', READY + message(5) + LIVE],
    ['no cursor', READY + LIVE + message(5).replace('5-k3f9ab', '5')],
    ['no cursor', READY + LIVE + message(5).replace('5-k3f9ab', '05-k3f9ab')],
    ['back from 4', READY + LIVE + message(3)],
    ['back from 6', READY + LIVE + message(6) + BYE.replace('6-', '5-')],
    ['again, after 5', READY + LIVE + message(5) + message(5)],
    ['two ids', READY + LIVE + message(5).replace('"id":5', '"id":6')],
    ['an id in one place alone', READY + LIVE + EPHEMERAL.replace('{', '{"id":5,')],
    ['an id in one place alone', READY + LIVE + block({ data: messageJson(), id: '5-k3f9ab' })],
    ['an ephemeral message before live', READY + EPHEMERAL],
    ['no sender', READY + LIVE + EPHEMERAL.replace('"sender":"alice",', '')],
    ['no content', READY + LIVE + EPHEMERAL.replace('"content":"hi",', '')],
    ['no time', READY + LIVE + EPHEMERAL.replace('.678Z', 'Z')],
    ['another type', READY + LIVE.replace('"type":"live"', '"type":"alive"')],
    ['another cursor', READY.replace('"cursor":"4-', '"cursor":"3-')],
    ['an unknown gap', READY.replace('false', 'true')],
    ['no heartbeatSeconds', READY.replace(',"heartbeatSeconds":15', '')],
    ['no retry', READY.replace('retry: 2140\n', '')],
    ['no retry', READY + BYE.replace('retry: 2000\n', '')],
    ['a retry', READY + LIVE.replace('data:', 'retry: 2000\ndata:')],
    [
      'an id',
      READY + block({ event: 'heartbeat', data: `{"type":"heartbeat","at":"${AT}"}`, id: '4-k3f9ab' }),
    ],
    ['an id', READY + PRESENCE.replace(/\n$/, 'id: 4-k3f9ab\n\n')],
    ['no presence', READY + PRESENCE.replace('true', '"yes"')],
    ['no count', READY + PRESENCE.replace('"devices":1', '"devices":-1')],
    ['no id', READY + BYE.replace('id: 6-k3f9ab\n', '')],
    ['an unknown reason', READY + BYE.replace('"shutdown"', '"tired"')],
    ['an unknown event', READY + block({ event: 'note', data: '{"type":"note"}' })],
  ])('the law of an event stream finds %s', (fault, bytes) => {
    expect(judge(bytes).join('\n')).toMatch(new RegExp(`^${fault}:`, 'm'));
  });
});

/** A frame of a server. */
function frame(first: number, payload: string | Uint8Array): Buffer {
  const bytes = Buffer.from(payload);
  if (bytes.length <= 125) return Buffer.from([first, bytes.length, ...bytes]);
  return Buffer.concat([Buffer.from([first, 126, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

const TEXT = 0x81;
const SAID_READY = `{"event":"ready","id":"0","data":{"type":"ready","cursor":"0","gap":false,"heartbeatSeconds":15},"retry":2000}`;
const SAID_LIVE = '{"event":"live","id":"0","data":{"type":"live","cursor":"0","replayed":0}}';
const SAID_MESSAGE = `{"event":"message","id":"1-k3f9ab","data":${messageJson(1)}}`;
const SAID_BYE = '{"event":"bye","id":"1-k3f9ab","data":{"type":"bye","reason":"shutdown"},"retry":2000}';
const CLOSE = frame(0x88, Buffer.from([0x03, 0xe9]));
const ready = frame(TEXT, SAID_READY);

describe('the law of a WebSocket', () => {
  test('the law of a WebSocket accepts the samples of the protocol, in pieces of any size', () => {
    const bytes = Buffer.concat([
      ...[SAID_READY, SAID_LIVE, SAID_MESSAGE].map((text) => frame(TEXT, text)),
      frame(TEXT, `{"event":"message","data":${messageJson(undefined, `"${'x'.repeat(300)}\u2028"`)}}`),
      frame(TEXT, `{"event":"published","ref":"a1","data":${messageJson(1)}}`),
      frame(TEXT, '{"event":"refused","data":{"status":429},"retry":1000}'),
      frame(0x89, ''),
      frame(TEXT, SAID_BYE),
      CLOSE,
    ]);
    for (const size of [1, 2, 3, 7, 5000]) {
      const law = new SocketLaw(0);
      for (let at = 0; at < bytes.length; at += size) law.feed(bytes.subarray(at, at + size));
      expect(law.faults).toEqual([]);
      expect(law.isWithin).toBe(false);
    }
  });

  test.each<[string, Buffer]>([
    ['before ready', frame(TEXT, SAID_LIVE)],
    ['other fields', frame(TEXT, SAID_READY.replace('"event"', '"more":1,"event"'))],
    ['other fields', frame(TEXT, `{"id":"0",${SAID_READY.slice(1).replace('"id":"0",', '')}`)],
    ['other fields', frame(TEXT, SAID_READY.replace('"event"', '"ref":"a","event"'))],
    ['other fields', frame(TEXT, '{"event":"published","id":"0","data":{}}')],
    ['a retry', Buffer.concat([ready, frame(TEXT, SAID_LIVE.replace(/\}$/, ',"retry":1000}'))])],
    ['a retry', frame(TEXT, '{"event":"published","data":{},"retry":1}')],
    ['no data', frame(TEXT, '{"event":"live","id":"0","data":1}')],
    ['no JSON object', frame(TEXT, '[]')],
    ['no JSON object', frame(TEXT, '{"event"')],
    ['not UTF-8', frame(TEXT, Buffer.from([0xc3, 0x28]))],
    ['a fragment, or reserved bits', frame(0x01, SAID_READY)],
    ['a fragment, or reserved bits', frame(0xc1, SAID_READY)],
    ['an opcode of its own', frame(0x82, SAID_READY)],
    ['a mask', Buffer.from([TEXT, 0x82, 0x7b, 0x7d])],
    ['a length that is not the shortest', Buffer.from([TEXT, 126, 0, 2, 0x7b, 0x7d])],
    ['a long control frame', frame(0x89, 'x'.repeat(126))],
    ['behind the close frame', Buffer.concat([ready, CLOSE, frame(0x8a, '')])],
    ['after bye', Buffer.concat([ready, frame(TEXT, SAID_BYE), frame(TEXT, SAID_MESSAGE)])],
  ])('the law of a WebSocket finds %s', (fault, bytes) => {
    const law = new SocketLaw(undefined);
    law.feed(bytes);
    expect(law.faults.join('\n')).toMatch(new RegExp(`^${fault}:`, 'm'));
  });
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { rawPublish } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const YEAR_SECONDS = 31_536_000;

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

describe('content', () => {
  const tricky: [string, unknown][] = [
    ['line ends of every kind', 'a\rb\nc\r\nd\u2028e\u2029f\u0085g'],
    ['text that looks like the end of a frame and another one', '\n\nid: 99\n\n'],
    ['text that looks like a frame after a CR', '\r\rid: 99\rdata: {"type":"forged"}\r\r'],
    ['text that looks like an event', 'event: bye\ndata: {"type":"bye"}\n\n: comment\nretry: 1'],
    ['frames in the names of fields', { '\n\nid: 99\n\n': '\r\n', '\r': 1 }],
    ['emoji and joiners', '👩‍👩‍👧‍👦 🇨🇭 é e\u0301'],
    ['NUL and other control characters', '\0\u0001\u001b[31m\u007f\u009f'],
    ['a BOM and noncharacters', '\ufeff\ufffe\uffff\ufffd'],
    ['characters that HTML and JSON escape', '</script><!--&amp;"\\/\u003c'],
    ['JSON in a string', '{"type":"bye"}'],
    ['the value null', null],
    ['names that objects have', { constructor: 1, toString: 2, type: 'bye', id: 99 }],
    ['fields in their order', { b: 1, a: 2, 'a b': 3 }],
    ['numbers at the ends', [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, 0.1, -1e-7]],
  ];

  test('content arrives unaltered by live stream, replay, pull and id, and forges no frame', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=unaltered');
    await device.waitFor('live');
    const sent = [];
    for (const [, content] of tricky) sent.push(await send(server.url, 'unaltered', content));
    expect(sent.map(({ content }) => content)).toEqual(tricky.map(([, content]) => content));
    expect(await device.waitForMessages(sent.length)).toEqual(sent);
    const replay = await DeviceStream.open(server.url, 'recipient=unaltered&lastEventId=0');
    await replay.waitFor('live');
    expect(replay.messages).toEqual(sent);
    for (const { raw, events } of [device, replay]) {
      // A CR alone ends a line of a stream, too.
      expect(raw).not.toContain('\r');
      expect(raw).not.toMatch(/^id: 99$/m);
      expect(events.map(({ event }) => event)).toEqual(
        events.map(({ event, data }) => (event === 'message' ? 'message' : (data as { type: string }).type)),
      );
      expect(events.filter(({ event }) => event !== 'message')).toHaveLength(2);
      expect(raw.split('\n').filter((line) => line.startsWith('retry:'))).toHaveLength(1);
    }
    expect((await get(server.url, '/messages?recipient=unaltered')).body).toMatchObject({ messages: sent });
    for (const one of sent) expect((await get(server.url, `/messages/${one.id}`)).body).toEqual(one);
  });

  test.each(tricky)('content with %s arrives unaltered in an ephemeral message', async (_what, content) => {
    const device = await DeviceStream.open(server.url, 'recipient=fleeting');
    await device.waitFor('live');
    const answer = await publish(server.url, { recipient: 'fleeting', content, ephemeral: true });
    expect(answer.body).toEqual({ devices: 1 });
    const [one] = await device.waitForMessages(1);
    expect(one?.content).toEqual(content);
    device.cut();
    await device.waitForEnd();
    expect(device.events).toHaveLength(3);
  });

  test('content as deep as its 48 KiB allow is stored or refused, and its list can be read', async () => {
    const depth = 24_000;
    const body = `{"recipient":"deep","content":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const answer = await rawPublish(server.port, body);
    expect([201, 400]).toContain(answer.status);
    expect((await get(server.url, '/messages?recipient=deep')).status).toBe(200);
  });

  test.each(['1e400', '-1e400', '[{"a":1e309}]'])(
    'a number beyond the range of doubles, %s, is refused',
    async (number) => {
      const answer = await rawPublish(server.port, `{"recipient":"bob","content":${number}}`);
      expectProblem(answer, 400);
      expect(answer.body).toMatchObject({ errors: [{ path: expect.stringMatching(/^\/content/) }] });
    },
  );

  test('__proto__ is an unknown field of a message, and a field like any other in content', async () => {
    const proto = '{"__proto__":{"a":1},"constructor":{"prototype":{"b":2}}}';
    expectProblem(
      await rawPublish(server.port, '{"content":1,"recipient":"bob","__proto__":{"sender":"eve"}}'),
      400,
      ['/__proto__'],
    );
    expectProblem(await rawPublish(server.port, '{"content":1,"__proto__":{"recipient":"bob"}}'), 400, [
      '/__proto__',
      '/recipient',
    ]);
    const answer = await rawPublish(server.port, `{"recipient":"proto","content":${proto}}`);
    expect(answer.status).toBe(201);
    expect(answer.text).toContain(`"content":${proto}`);
  });

  test.each<[string, string, string]>([
    ['in a message', '{"recipient":"bob","recipient":"eve","content":1}', '/recipient'],
    ['in a message, escaped', '{"recipient":"bob","r\\u0065cipient":"eve","content":1}', '/recipient'],
    [
      'in a batch',
      '[{"recipient":"bob","content":1},{"recipient":"bob","content":1,"content":2}]',
      '/1/content',
    ],
    ['in content', '{"recipient":"bob","content":{"a":[{"b":1,"b":1}]}}', '/content/a/0/b'],
    [
      'of a property of objects',
      '{"recipient":"bob","content":{"__proto__":1,"__proto__":2}}',
      '/content/__proto__',
    ],
  ])('a repeated name %s is refused, over HTTP and on a socket', async (_what, body, path) => {
    expectProblem(await rawPublish(server.port, body), 400, [path]);
    const device = await SocketDevice.open(server.url, 'recipient=twice');
    device.socket.send(`{"publish":${body},"ref":"r"}`);
    expect(await device.waitFor('refused')).toMatchObject({
      data: { status: 400, errors: [{ path }] },
    });
    device.cut();
  });

  test.each([
    ['a lone continuation byte', [0x80]],
    ['a byte that never occurs', [0xff]],
    ['a sequence cut short', [0xc3]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a code point beyond the last', [0xf4, 0x90, 0x80, 0x80]],
  ])('ill-formed UTF-8, %s, is refused, in a value and in a name', async (_what, bytes) => {
    const around = (before: string, after: string) =>
      Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
    for (const body of [
      around('{"recipient":"bob","content":"', '"}'),
      around('{"recipient":"', '","content":1}'),
      around('{"recipient":"bob","content":{"', '":1}}'),
    ]) {
      expectProblem(await rawPublish(server.port, body), 400);
    }
  });
});

describe('a size', () => {
  const asJson = (bytes: number) => 'x'.repeat(bytes - 2);

  test.each([
    [0, 'of ASCII', asJson(48 * KIB)],
    [1, 'of two-byte characters', 'é'.repeat(24 * KIB - 1)],
    [2, 'of characters that JSON escapes', '\0'.repeat(8 * KIB - 1) + 'four'],
    [3, 'of a list', [asJson(48 * KIB - 2)]],
  ])(
    'content of 48 KiB as JSON, case %i: %s, is stored, and one byte more is 413',
    async (index, _what, content) => {
      expect(Buffer.byteLength(JSON.stringify(content))).toBe(48 * KIB);
      const address = '😀'.repeat(128);
      const device = await DeviceStream.open(server.url, `recipient=${encodeURIComponent(address)}`);
      await device.waitFor('live');
      const sent = await send(server.url, address, content, {
        sender: address,
        type: 't'.repeat(64),
        idempotencyKey: `${index}`.padEnd(128, '\0'),
        ttl: YEAR_SECONDS,
      });
      expect(sent.content).toEqual(content);
      await device.waitForMessages(1);
      device.cut();
      const longest = Math.max(...device.raw.split('\n').map((line) => Buffer.byteLength(line)));
      expect(longest).toBeLessThan(64 * KIB);
      const larger = Array.isArray(content) ? [`${content[0] ?? ''}x`] : `${content}x`;
      expectProblem(await publish(server.url, { recipient: 'bob', content: larger }), 413, ['/content']);
      expectProblem(
        await publish(server.url, [
          { recipient: 'bob', content: 'hi' },
          { recipient: 'bob', content: larger },
        ]),
        413,
        ['/1/content'],
      );
    },
  );

  test('a body of 4 MiB is accepted, and one byte more is 413', async () => {
    const body = JSON.stringify({ recipient: 'bob', content: 'hi' });
    expect((await rawPublish(server.port, body.padEnd(4 * MIB))).status).toBe(201);
    expectProblem(await rawPublish(server.port, body.padEnd(4 * MIB + 1)), 413);
    const chunked = await fetch(`${server.url}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: new Blob([body.padEnd(4 * MIB + 1)]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(413);
  });
});

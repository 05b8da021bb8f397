import { expect, test } from '@jest/globals';

type Inline = string | { type: string; text: string; href?: string };

const module = '../../public/chat/inline.js';
const { inlineOf } = (await import(module)) as { inlineOf: (text: string) => Inline[] };

const linksIn = (text: string): [string, string | undefined][] =>
  inlineOf(text).flatMap((part): [string, string | undefined][] =>
    typeof part === 'object' && part.type === 'link' ? [[part.text, part.href]] : [],
  );

test.each([
  ['https://en.example/wiki/SSE_(x)', 'https://en.example/wiki/SSE_(x)'],
  ['(see https://en.example/wiki/SSE_(x)).', 'https://en.example/wiki/SSE_(x)'],
  ['(https://a.example/x)y', 'https://a.example/x'],
  ['https://a.example/?b[]=1&c={d}]', 'https://a.example/?b[]=1&c={d}'],
  ['https://a.example/x, and', 'https://a.example/x'],
  ['https://a.example/x?!…', undefined],
  ['https://a.example/abc…', undefined],
  ["https://a.example/Hobson's_choice", "https://a.example/Hobson's_choice"],
  ["'https://a.example'", 'https://a.example'],
  ['“https://a.example/b”', 'https://a.example/b'],
  ['<https://a.example/b>', 'https://a.example/b'],
  ['请看https://a.example/路径，然后', 'https://a.example/路径'],
  ['（https://a.example/b）。', 'https://a.example/b'],
  ['https://a.example/b\u3000c', 'https://a.example/b'],
  ['HTTP://LOCALHOST:7070/x', 'HTTP://LOCALHOST:7070/x'],
  ['http://[::1]:7070/', 'http://[::1]:7070/'],
  ['|https://a.example|', 'https://a.example'],
  ['*https://a.example/x*', undefined],
  ['[text](https://b.example/x)', 'https://b.example/x'],
  ['[https://a.example](javascript:alert)', 'https://a.example'],
  ['mailto:a@b.example a@www.b.example ftp://a.example //a.example', undefined],
  ['https:// https://[ https://. http://?', undefined],
  ['https://good.example@evil.example/ https://good.example:443@evil.example/', undefined],
  ['xhttps://a.example', 'https://a.example'],
])('the text %j has the link %j', (text, address) => {
  const links = linksIn(text);
  expect(links).toEqual(address === undefined ? [] : [[address, address]]);
});

test.each([
  ['www.a.example', 'www.a.example'],
  ['See WWW.A.example/b_(c)!', 'WWW.A.example/b_(c)'],
  ['请看www.a.example。', 'www.a.example'],
  ['www.a', undefined],
  ['www..a.b www.', undefined],
  ['a.www.b.c awww.b.c /www.b.c a@www.b.c -www.b.c', undefined],
  ['www.good.example@evil.example', undefined],
])('the text %j has the link %j, with https', (text, address) => {
  expect(linksIn(text)).toEqual(address === undefined ? [] : [[address, `https://${address}`]]);
});

test('no character that cannot be seen, or that turns others around, is in a link', () => {
  for (const hidden of '\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u200f\u202e\u2028\u2066\u2800\u3164\ufe0f\ufeff\0\x7f\u{e0041}\ue000\ud800') {
    expect(linksIn(`https://a.example/b${hidden}c`)).toEqual([
      ['https://a.example/b', 'https://a.example/b'],
    ]);
    expect(linksIn(`www.a.example${hidden}.evil.example`)).toEqual([
      ['www.a.example', 'https://www.a.example'],
    ]);
  }
});

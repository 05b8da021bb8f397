/** Texts that have broken a parser, a protocol or a program somewhere. */
import type { Random } from './random.ts';

/** Texts that must not become part of the syntax of a frame, a header or a log line. */
export const INJECTIONS = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  '\u2028',
  '\u2029',
  '\u0085',
  '\v',
  '\f',
  '\n\nid: 99\n\n',
  '\r\rid: 99\r\r',
  '\r\n\r\ndata: {"type":"bye","reason":"shutdown"}\r\n\r\n',
  '\n\nevent: bye\ndata: {"type":"bye","reason":"token-expired"}\n\n',
  '"}\n\nevent: ready\nid: 0\ndata: {"type":"ready","cursor":"0","gap":"unknown"}\n\n',
  '\u2028\u2028event: live\u2028data: {}\u2028\u2028',
  '\r\nSet-Cookie: tidings=x',
  '\r\nLocation: http://evil.example/',
  'data:',
  'data: {"type":"message","id":1}',
  'event: bye',
  'id: 9007199254740991',
  'retry: 1',
  ': comment',
  '\uFEFF',
] as const;

/** Names that an object has before anything is put into it. */
export const INHERITED = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'toJSON',
  'then',
] as const;

const OTHERS = [
  '',
  ' ',
  '\t',
  'null',
  'undefined',
  'NaN',
  'true',
  '[object Object]',
  '*',
  'a*',
  '$system',
  '../../etc/passwd',
  '..%2f..%2f',
  '%00',
  '%',
  '%ED%A0%80',
  "' OR 1=1 --",
  '"); DROP TABLE messages; --',
  '<script>alert(1)</script>',
  '${7*7}{{7*7}}',
  '\x1b[2J\x07',
  '\x7f',
  'e\u0301',
  '\u202Egnp.exe',
  'a\u200Db',
  '\uFFFF',
  '\uFFFD',
  '\ud800',
  'a\udc00b',
  '\u{1F468}\u200D\u{1F469}',
  '٤٢',
  'ｂｏｂ',
  'a'.repeat(128),
  'a'.repeat(129),
  '\u{1D54F}'.repeat(128),
] as const;

/** One of them, or several in a row. */
export function hostileText(random: Random): string {
  const one = (): string =>
    random.pick(random.pick<readonly string[]>([INJECTIONS, INJECTIONS, INHERITED, OTHERS]));
  let text = one();
  while (random.chance(0.3)) text += one();
  return random.chance(0.3) ? `bob${text}` : text;
}

/** A cursor that no run has given: what comes back as `Last-Event-ID`, or in a query. */
export function hostileCursor(random: Random, tag: string): string {
  return random.chance(0.2)
    ? hostileText(random)
    : random.pick([
        '0',
        `0-${tag}`,
        '1',
        `1-${tag}`,
        `3-${tag}`,
        `99999-${tag}`,
        '-1',
        '+1',
        '01',
        '1.5',
        '1e3',
        '1e400',
        '0x10',
        '9007199254740991',
        `9007199254740991-${tag}`,
        '9007199254740992',
        '18446744073709551616',
        '1'.repeat(300),
        '9'.repeat(7000),
        '٤٢',
        '１２',
        '1-zzzzzz',
        '1-',
        '1--1',
        `1-${tag}-${tag}`,
        `1-${tag.toUpperCase()}`,
        '-',
        'NaN',
        'Infinity',
        ' 1',
        '1 ',
        '1, 2',
        `1-${tag}, 2-${tag}`,
        '1;2',
        'latest',
      ]);
}

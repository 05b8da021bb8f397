/** The options of `connect`: each is checked, by name. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { check as checkBy, checkOptions, PAGE_RULES, WATCH_RULES } from '../../public/client/options.js';

type Options = Parameters<typeof checkOptions>[0];

const GOOD = { url: 'https://push.example.org/', recipient: 'alice' };

/** Checks options that a program without types may give. */
const check = (options: object): ReturnType<typeof checkOptions> => checkOptions(options as Options);

let before: unknown;
beforeEach(() => {
  before = Reflect.get(globalThis, 'EventSource');
});
afterEach(() => {
  Reflect.set(globalThis, 'EventSource', before);
});

test('good options are completed with their defaults', () => {
  Reflect.set(globalThis, 'EventSource', () => undefined);
  expect(check(GOOD)).toMatchObject({
    recipients: ['alice'],
    sender: 'alice',
    last: 0,
    presence: [],
    transport: 'event-source',
  });
  expect(check({ ...GOOD, recipient: ['a', 'b'], sender: 'c', token: () => 't' })).toMatchObject({
    recipients: ['a', 'b'],
    sender: 'c',
    transport: 'fetch',
  });
  Reflect.set(globalThis, 'EventSource', undefined);
  expect(check(GOOD).transport).toBe('fetch');
  expect(check({ ...GOOD, recipient: '*' }).recipients).toEqual(['*']);
  expect(check({ ...GOOD, recipient: '🌊'.repeat(128) }).recipients).toHaveLength(1);
  // Of a page, an option that is `undefined` is one that is not given.
  expect(check({ ...GOOD, cursor: undefined, onMessage: undefined, signal: undefined })).toMatchObject({
    last: 0,
  });
});

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `a${index}`);

test.each<[string, object, string]>([
  ['no recipient', { recipient: undefined }, '"recipient" must be an address'],
  ['an empty recipient', { recipient: '' }, '"recipient" must be an address'],
  ['a number as recipient', { recipient: 7 }, '"recipient" must be an address'],
  ['white space around a recipient', { recipient: ' bob ' }, '"recipient" must be an address'],
  ['a line break in a recipient', { recipient: 'a\nb' }, '"recipient" must be an address'],
  ['a recipient that is not in NFC', { recipient: 'e\u0301' }, '"recipient" must be an address'],
  ['half a surrogate pair', { recipient: '\ud800' }, '"recipient" must be an address'],
  ['a recipient of the service', { recipient: '$system' }, '"recipient" must be an address'],
  ['a recipient of 129 characters', { recipient: 'a'.repeat(129) }, '"recipient" must be an address'],
  ['no recipients', { recipient: [] }, 'or a list of up to 100'],
  ['101 recipients', { recipient: many(101) }, 'or a list of up to 100'],
  ['all and another', { recipient: ['*', 'a'] }, '"recipient" must be'],
  ['an empty sender', { sender: '' }, '"sender" must be an address'],
  ['an empty cursor', { cursor: '' }, '"cursor" must be a cursor'],
  ['a number as cursor', { cursor: 42 }, '"cursor" must be a cursor'],
  ['last: 5000', { last: 5000 }, '"last" must be a whole number from 0 to 1000'],
  ['last: -1', { last: -1 }, '"last" must be a whole number from 0 to 1000'],
  ['last: 1.5', { last: 1.5 }, '"last" must be a whole number from 0 to 1000'],
  ['101 watched addresses', { presence: many(101) }, '"presence" must be a list'],
  ['one watched address', { presence: 'bob' }, '"presence" must be a list'],
  ['another transport', { transport: 'websocket' }, '"transport" must be'],
  ['EventSource with a token', { transport: 'event-source', token: () => 't' }, '"transport" must be'],
  ['a token that is no function', { token: 'abc' }, '"token" must be a function'],
  ['a callback that is no function', { onMessage: 'show' }, '"onMessage" must be a function'],
  ['a signal of another kind', { signal: {} }, '"signal" must be an AbortSignal'],
  ['no url', { url: undefined }, '"url" must be the URL of the service'],
  ['a url of another kind', { url: 'ftp://push.example.org/' }, '"url" must be the URL of the service'],
  ['a relative url outside of a page', { url: '/push/' }, '"url" must be the URL of the service'],
  ['onmessage', { onmessage: () => undefined }, 'unknown option "onmessage"; the options are recipient, '],
  [
    'message',
    { message: () => undefined },
    ' onMessage, onEvent, onStatus, onGap, onFrame, onExpired, onRefused',
  ],
  ['recipients', { recipients: ['a'] }, 'unknown option "recipients"; the options are recipient, '],
  ['a name of nothing', { colour: 'red' }, 'unknown option "colour"'],
  ['a name of every object', { toString: 1, constructor: 2 }, 'unknown option "toString"'],
])('%s is refused by name', (_what, options, message) => {
  expect(() => check({ ...GOOD, ...options })).toThrow(TypeError);
  expect(() => check({ ...GOOD, ...options })).toThrow(message);
});

test.each([undefined, 'alice', 7, null, []])(
  'connect(%j) is refused for its missing recipient or its names',
  (options) => {
    expect(() => check(options as unknown as object)).toThrow(
      /^connect: ("recipient" must be|unknown option "0")/,
    );
  },
);

test.each<[unknown, string]>([
  [{ befor: 3 }, 'history: unknown option "befor"'],
  [{ limits: 3 }, 'history: unknown option "limits"; the options are before, limit'],
  [{ before: 'latest' }, 'history: "before" must be a whole number from 1'],
  [{ before: 0 }, 'history: "before" must be a whole number from 1'],
  [{ limit: 1001 }, 'history: "limit" must be a whole number from 1 to 1000'],
  [{ limit: '5' }, 'history: "limit" must be a whole number from 1 to 1000'],
])('a page of history by %j is refused', (page, message) => {
  expect(() => checkBy('history', PAGE_RULES, page as object)).toThrow(
    new RegExp(`^${message.replace('?', '\\?')}`),
  );
});

test.each([{}, { before: undefined }, { before: 3, limit: 1 }])('a page of history by %j is good', (page) => {
  expect(() => checkBy('history', PAGE_RULES, page)).not.toThrow();
});

test.each([[['$x']], [['*']], [['']], [many(101)], [null], [undefined], ['bob'], [[7]]])(
  'watching %j is refused',
  (addresses) => {
    expect(() => checkBy('watch', WATCH_RULES, { addresses })).toThrow(
      /^watch: "addresses" must be a list of up to 100 addresses$/,
    );
  },
);

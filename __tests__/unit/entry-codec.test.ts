import { describe, expect, test } from '@jest/globals';
import { type EntryBody, entryOf } from '../../src/log/entry.ts';
import { decodeEntry, encodeEntry } from '../../src/log/order/entry-codec.ts';
import type { Draft } from '../../src/message.ts';
import { draft } from '../support/log-file.ts';
import { Random } from '../support/random.ts';
import { RandomEntries } from '../support/random-entries.ts';

const ADDRESS = { logId: 'log', generation: 1 };
const SOURCE = { proposer: 'p', counter: 1 };

/** The bytes of an entry with this body as JSON, which may be any. */
const withBody = (body: string): Buffer => Buffer.from(`[1,"log",1,"p",1,${body}]`);

/** The bytes of an entry with one draft, of these fields. */
const withDraft = (fields: Readonly<Partial<Record<keyof Draft, unknown>>>): Uint8Array =>
  encodeEntry(ADDRESS, SOURCE, entryOf({ kind: 'append', batches: [[draft(fields as Partial<Draft>)]] }));

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('entries of this program', () => {
  test('entries of random contents are read as they were written, whatever their kind', () => {
    const entries = new RandomEntries(new Random(7));
    const kinds = new Set<string>();
    for (let index = 0; index < 2000; index++) {
      const body = entries.next(50);
      // No client can have made such a marker.
      if (JSON.stringify(body).includes(String.raw`\"messageId\":0`)) continue;
      kinds.add(body.kind);
      const bytes = encodeEntry(ADDRESS, SOURCE, entryOf(body));
      const { entry, source } = decodeEntry(ADDRESS, bytes);
      expect(source).toEqual(SOURCE);
      expect(Buffer.from(encodeEntry(ADDRESS, SOURCE, entry)).toString()).toBe(Buffer.from(bytes).toString());
    }
    expect([...kinds].sort()).toEqual(['append', 'epoch', 'purge', 'push', 'settings', 'tick']);
  });

  test.each<[string, EntryBody]>([
    ['a tick without a time', { kind: 'tick' }],
    [
      'several purges with their origin',
      {
        kind: 'purge',
        purge: { by: 'proposers', now: 5, limit: 500, age: 1.5 },
        also: [{ by: 'age', now: 5, limit: 250, after: 0, age: 1 }],
        origin: 'o-1',
      },
    ],
    ['settings of one name', { kind: 'settings', retention: { days: 3 } }],
    [
      'drafts at their bounds',
      {
        kind: 'append',
        batches: [
          [
            draft({ sender: 'é \u{1f4e8}', type: 'a'.repeat(64), idempotencyKey: '\u{1f4e8}'.repeat(128) }),
            draft({ ttl: 31_536_000, background: null, content: '"\u2028\u2029\u0085"' }),
            draft({ type: 'read', content: '{"messageId":1}', readsRecipient: true }),
          ],
        ],
      },
    ],
  ])('an entry is read as it was written: %s', (_what, body) => {
    const entry = entryOf(body);
    expect(decodeEntry(ADDRESS, encodeEntry(ADDRESS, SOURCE, entry))).toEqual({ entry, source: SOURCE });
  });

  test('an entry has only the fields of its kind, whatever else the stream has', () => {
    const body =
      '{"kind":"settings","v":"zz","deep":[[[]]],"retention":{"days":1,"__proto__":{},"more":[[]]}}';
    expect(decodeEntry(ADDRESS, withBody(body)).entry).toStrictEqual({
      v: 1,
      kind: 'settings',
      retention: { days: 1 },
    });
  });
});

describe('malformed entries', () => {
  test.each<[string, Partial<Record<keyof Draft, unknown>>]>([
    ['a ttl that is a text', { ttl: 'zz' }],
    ['a ttl past all times', { ttl: 1e300 }],
    ['a ttl of no time', { ttl: 0 }],
    ['a ttl of part of a second', { ttl: 1.5 }],
    ['a type with a line of a frame', { type: 'a\ndata: evil' }],
    ['a type with a quote', { type: 'a","x":"' }],
    ['a type that is a number', { type: 5 }],
    ['a content of two lines', { content: '"a"\n\n' }],
    ['a content that returns the carriage', { content: '{\r}' }],
    ['a content that is no JSON', { content: 'not json\n\ndata: evil' }],
    ['a content that is a number', { content: 5 }],
    ['a content that is an object', { content: { a: 1 } }],
    ['a content with half a character', { content: '"\ud800"' }],
    ['a content that is too long', { content: JSON.stringify('x'.repeat(64 * 1024)) }],
    ['no content', { content: null }],
    ['a sender that is a number', { sender: 7 }],
    ['a sender for the system', { sender: '$x' }],
    ['a sender with a control character', { sender: 'a\u0000' }],
    ['everybody as its recipient', { recipient: '*' }],
    ['no recipient', { recipient: null }],
    ['a recipient that is too long', { recipient: 'é'.repeat(129) }],
    ['a key that is a number', { idempotencyKey: 9 }],
    ['a key that is an object', { idempotencyKey: {} }],
    ['an empty key', { idempotencyKey: '' }],
    ['a key that is too long', { idempotencyKey: 'k'.repeat(129) }],
    ['a background that is a text', { background: 'zz' }],
    ['a background of 2', { background: 2 }],
    ['a read marker of nothing', { type: 'read', content: '"c"' }],
    ['a read marker with a ttl', { type: 'read', content: '{"messageId":1}', ttl: 5 }],
  ])('an entry whose draft has %s is unreadable', (_what, fields) => {
    expect(decodeEntry(ADDRESS, withDraft(fields))).toEqual({
      entry: { v: 1, kind: 'unreadable', why: 'its drafts are malformed' },
      source: undefined,
    });
  });

  const purge = (fields: string): string => `{"kind":"purge","purge":{"now":1,"limit":1,${fields}}}`;
  const change = (fields: string): string => `{"kind":"push","changes":[{${fields}}]}`;
  const subscription = (fields: string): string =>
    change(
      `"kind":"subscribe","bounds":{"devices":1,"recipients":1,"perClient":1},"subscription":{"client":null,` +
        `"recipient":"a","reader":"a","endpoint":"e","p256dh":"k","auth":"s","expirationTime":null,${fields}}`,
    );

  test.each([
    ['no kind', '{}'],
    ['a kind that is unreadable by itself', '{"kind":"unreadable","why":[[[]]]}'],
    ['changes that are deep', `{"kind":"push","changes":${nested(100_000)}}`],
    ['changes with a deep field', change(`"kind":"remove","id":${nested(100_000)}`)],
    ['no changes', '{"kind":"push"}'],
    ['changes of which one is null', '{"kind":"push","changes":[null]}'],
    ['a change of no kind', change('"kind":"x"')],
    ['a subscription without keys', subscription('"p256dh":null')],
    ['a subscription of everybody', subscription('"recipient":"*"')],
    ['a subscription that ends past all times', subscription('"expirationTime":1e300')],
    ['a subscription without bounds', change('"kind":"subscribe","subscription":{}')],
    ['an unsubscription of an object', change('"kind":"unsubscribe","endpoint":{},"limit":1')],
    ['a notice of a list', change('"kind":"notified","id":1,"peer":["a"],"messageId":1')],
    ['a notice of part of a message', change('"kind":"closed","id":1,"peer":"a","messageId":0.5')],
    ['a position that is a text', change('"kind":"through","id":1,"through":"9"')],
    ['settings that are none', '{"kind":"settings","retention":{"days":"x"}}'],
    ['settings below 0', '{"kind":"settings","retention":{"messages":-5}}'],
    ['no settings', '{"kind":"settings"}'],
    ['a time that is a text', '{"kind":"tick","retentionTime":"abc"}'],
    ['a time past all times', '{"kind":"tick","retentionTime":1e300}'],
    ['a time that is an object', '{"kind":"tick","retentionTime":{}}'],
    ['no epoch', '{"kind":"epoch"}'],
    ['an epoch that is a number', '{"kind":"epoch","epoch":5}'],
    ['an epoch that no cursor can name', '{"kind":"epoch","epoch":"a-b"}'],
    ['a purge of no kind', purge('"by":"nope"')],
    ['a purge of all rows at once', purge('"by":"expiry","limit":1e18')],
    ['a purge of an age below 0', purge('"by":"age","after":0,"age":-1')],
    ['a purge of a recipient that is none', purge('"by":"count","recipient":{},"after":0,"through":5')],
    ['purges that are no list', `${purge('"by":"expiry"').slice(0, -1)},"also":5}`],
    ['purges of which one is none', `${purge('"by":"expiry"').slice(0, -1)},"also":[{}]}`],
    ['an origin that is an object', `${purge('"by":"expiry"').slice(0, -1)},"origin":{}}`],
  ])('an entry with %s is unreadable', (_what, body) => {
    expect(decodeEntry(ADDRESS, withBody(body))).toEqual({
      entry: { v: 1, kind: 'unreadable', why: 'its body is malformed' },
      source: undefined,
    });
  });

  test.each([
    ['a version below 1', '[-4,"log",1,"p",1,{"kind":"tick"}]'],
    ['a counter below 1', '[1,"log",1,"p",0,{"kind":"tick"}]'],
    ['a proposer that is too long', `[1,"log",1,"${'p'.repeat(65)}",1,{"kind":"tick"}]`],
  ])('bytes with %s are not an entry', (_what, text) => {
    expect(decodeEntry(ADDRESS, Buffer.from(text)).entry).toMatchObject({ why: 'it is not an entry' });
  });
});

/** The parser of event streams in the client, against the standard and another parser. */
import { expect, test } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { createEventParser } from '../../public/client/event-stream.js';

type Event = [event: string, id: string, data: string];

function parse(pieces: readonly string[]): Event[] {
  const events: Event[] = [];
  const take = createEventParser((...event) => events.push(event));
  for (const piece of pieces) take(piece);
  return events;
}

test.each<[string, string, Event[]]>([
  ['a message', 'data: a\n\n', [['message', '', 'a']]],
  ['fields in any order', 'id: 1\ndata: a\nevent: e\n\n', [['e', '1', 'a']]],
  [
    'the last id of later blocks',
    'id: 1\ndata: a\n\ndata: b\n\n',
    [
      ['message', '1', 'a'],
      ['message', '1', 'b'],
    ],
  ],
  ['an id without data', 'id: 7\n\ndata: a\n\n', [['message', '7', 'a']]],
  ['an id with a null', 'id: 1\0\ndata: a\n\n', [['message', '', 'a']]],
  ['several lines of data', 'data: a\ndata: b\ndata\n\n', [['message', '', 'a\nb\n']]],
  [
    'one space after the colon',
    'data:  a\n\ndata:b\n\n',
    [
      ['message', '', ' a'],
      ['message', '', 'b'],
    ],
  ],
  ['comments and unknown fields', ': hi\nretry: 5\nother: x\ndata: a\n\n', [['message', '', 'a']]],
  ['an event without data', 'event: e\n\ndata: a\n\n', [['message', '', 'a']]],
  [
    'CRLF and CR',
    'data: a\r\n\r\ndata: b\r\rdata: c\n\n',
    [
      ['message', '', 'a'],
      ['message', '', 'b'],
      ['message', '', 'c'],
    ],
  ],
  ['the end in a block', 'data: a\n\ndata: b\n', [['message', '', 'a']]],
])('%s is read as the standard says, however it is cut', (_what, text, expected) => {
  expect(parse([text])).toEqual(expected);
  expect(parse(text.split(/(?:)/u))).toEqual(expected);
  for (let cut = 1; cut < text.length; cut++)
    expect(parse([text.slice(0, cut), '', text.slice(cut)])).toEqual(expected);
});

test('the parser of event streams agrees with eventsource-parser on random streams', () => {
  let seed = 3;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const parts = ['data', 'id', 'event', ':', ' ', 'x', 'ü', '🌊', '\n', '\n', '\n\n', '\r\n'];
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: 60 }, () => parts[random(parts.length)]).join('');
    const expected: Event[] = [];
    let lastId = '';
    const other = createParser({
      onEvent: ({ event = 'message', id, data }) => {
        lastId = id ?? lastId;
        expected.push([event === '' ? 'message' : event, lastId, data]);
      },
    });
    other.feed(text);
    const events = parse([text.slice(0, 25), text.slice(25)]);
    // It tells of the last id only with an event; ids of blocks without data differ.
    expect(events.map(([event, , data]) => [event, data])).toEqual(
      expected.map(([event, , data]) => [event, data]),
    );
  }
});

test('a line without an end is given up before it fills the memory', () => {
  const take = createEventParser(() => undefined);
  expect(() => {
    for (let count = 0; count < 100; count++) take('x'.repeat(64 * 1024));
  }).toThrow('too long');
});

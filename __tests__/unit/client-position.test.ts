/** The position of a feed: each piece of news, at each position. */
import { expect, test } from '@jest/globals';
import { follow } from '../../public/client/position.js';

type News = Parameters<typeof follow>[1];

const message = (id: number, cursor = `${id}-a`): News => ({
  type: 'message',
  message: { id, sender: 'a', recipient: 'b', type: 'message', content: id, createdAt: '' },
  cursor,
});
const before = (cursor: string, asks = false): News => ({ type: 'before', cursor, asks });
const ready = (cursor: string, gap: false | 'purged' | 'restored' | 'unknown' = false): News => ({
  type: 'ready',
  cursor,
  gap,
});
const live = (cursor: string): News => ({ type: 'live', cursor });
const told = (cursor: string): News => ({ type: 'live', cursor });
const pageGap = (gap: 'purged' | 'restored' | 'unknown'): News => ({ type: 'gap', cursor: '0', gap });
const pageEnd = (cursor: string): News => ({ type: 'live', cursor });

/** Position, news, the position after it, and what is to be done. */
test.each<[string | undefined, News, string | undefined, string]>([
  // A message is told exactly if it is ahead; the position moves when it was told.
  [undefined, message(1), undefined, 'tell 1'],
  ['4-a', message(5), '4-a', 'tell 5'],
  ['5-a', message(5), '5-a', ''],
  ['6-a', message(5), '6-a', ''],
  ['9-a', message(10), '9-a', 'tell 10'],
  ['4-a', told('5-a'), '5-a', 'keep 5-a'],
  // The cursor of a source before its news.
  [undefined, before('4-a'), '4-a', 'keep 4-a'],
  ['4-a', before('4-a'), '4-a', ''],
  ['4-a', before('4-a', true), '4-a', ''],
  ['4-a', before('3-a'), '4-a', ''],
  ['4-a', before('9-a'), '4-a', 'fetch 9-a'],
  ['4-a', before('3-a', true), '4-a', 'fetch 3-a'],
  ['4-a', before('4-b', true), '4-a', 'fetch 4-b'],
  // A stream begins.
  [undefined, ready('4-a'), '4-a', 'keep 4-a'],
  ['4-a', ready('4-a'), '4-a', ''],
  ['4-a', ready('6-a', 'purged'), '4-a', 'keep 4-a, gap purged 4-a'],
  ['4-a', ready('0', 'restored'), '0', 'keep again 0, gap restored 0'],
  ['4-a', ready('0', 'unknown'), '0', 'keep again 0, gap unknown 0'],
  [undefined, ready('0', 'unknown'), '0', 'keep again 0, gap unknown 0'],
  // Ahead of the stream: a page tells a purge from a restore.
  ['9-a', ready('4-a'), '9-a', 'fetch 4-a'],
  ['9-a', ready('4-a', 'purged'), '9-a', 'fetch 4-a'],
  ['9-a', ready('4-b', 'restored'), '4-b', 'keep again 4-b, gap restored 4-b'],
  // All have come.
  ['4-a', live('7-a'), '7-a', 'keep 7-a'],
  ['7-a', live('7-a'), '7-a', ''],
  ['9-a', live('7-a'), '9-a', ''],
  ['7', live('7-a'), '7-a', 'keep 7-a'],
  // A page that was polled.
  ['4-a', pageGap('purged'), '4-a', 'keep 4-a, gap purged 4-a'],
  ['4-a', pageGap('restored'), '0', 'keep again 0, gap restored 0'],
  ['4-a', pageGap('unknown'), '0', 'keep again 0, gap unknown 0'],
  [undefined, pageGap('purged'), '0', 'keep 0, gap purged 0'],
  ['4-a', pageEnd('8-a'), '8-a', 'keep 8-a'],
  ['9-a', pageEnd('8-a'), '9-a', ''],
])('at the position %s, the news %j leads to %s: %s', (position, news, expected, done) => {
  const step = follow(position, news);
  expect(step.position).toBe(expected);
  const described = step.effects.map((effect) => {
    switch (effect) {
      case 'tell':
        return `tell ${news.message?.id}`;
      case 'fetch':
        return `fetch ${news.cursor}`;
      case 'gap':
        return `gap ${news.gap} ${step.position}`;
      case 'keep':
        return `keep ${step.position}`;
      case 'keep-again':
        return `keep again ${step.position}`;
    }
  });
  expect(described.join(', ')).toBe(done);
});

test('ids that are told only grow until a gap begins again, whatever news comes', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  let position: string | undefined;
  let last = 0;
  let tells = 0;
  for (let step = 0; step < 20_000; step++) {
    const cursor = `${random(50)}-a`;
    const news = [
      message(random(50) + 1),
      before(cursor, random(2) === 0),
      live(cursor),
      pageEnd(cursor),
      ready(cursor, random(20) === 0 ? 'restored' : false),
    ][random(5)] as News;
    const { position: after, effects } = follow(position, news);
    position = after;
    for (const effect of effects) {
      if (effect === 'gap') last = 0;
      if (effect !== 'tell') continue;
      const { message: { id } = { id: 0 } } = news;
      expect(id).toBeGreaterThan(last);
      last = id;
      tells++;
      ({ position } = follow(position, told(news.cursor)));
    }
  }
  expect(tells).toBeGreaterThan(500);
});

import { afterEach, expect, test } from '@jest/globals';
import { get, publish, type WireMessage } from '../support/api.ts';
import { cleanUp, Server } from '../support/server.ts';

afterEach(cleanUp);

interface Page {
  readonly conversations: readonly { peer: string; lastMessage: WireMessage }[];
  readonly more: boolean;
  readonly before?: number;
}

test('a page of conversations is at most 1 MiB, and a client that goes on with its "before" sees each conversation once', async () => {
  const server = await Server.start();
  const peers = Array.from({ length: 60 }, (_, index) => `peer-${index}`);
  for (let from = 0; from < peers.length; from += 20) {
    const batch = peers
      .slice(from, from + 20)
      .map((sender) => ({ sender, recipient: 'bob', content: 'é'.repeat(20_000) }));
    expect((await publish(server.url, batch)).status).toBe(201);
  }
  const seen: string[] = [];
  const sizes: number[] = [];
  let before: number | 'latest' | undefined = 'latest';
  while (before !== undefined) {
    const answer = await get(server.url, `/conversations?recipient=bob&limit=1000&before=${before}`);
    const page = answer.body as Page;
    sizes.push(Buffer.byteLength(JSON.stringify(page)));
    expect(page.more).toBe(page.before !== undefined);
    seen.push(...page.conversations.map(({ peer }) => peer));
    before = page.before;
  }
  expect(seen).toEqual(peers.reverse());
  expect(Math.max(...sizes)).toBeLessThan(1024 * 1024 + 200);
  expect(sizes).toHaveLength(3);
});

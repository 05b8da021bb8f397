import { beforeEach, describe, expect, test } from '@jest/globals';
import { type Follower, Hub } from '../../src/hub/hub.ts';
import { Turns } from '../../src/hub/turns.ts';
import type { Message } from '../../src/message.ts';
import { draft } from '../support/log-file.ts';

const FOLLOWERS = 100;

describe('a hub whose inbox many follow', () => {
  let hub: Hub;
  let got: string[];

  /** Works for a millisecond on whatever it gets. */
  const follower = (index: number): Follower => {
    const work = (what: string): void => {
      const end = performance.now() + 1;
      while (performance.now() < end);
      got.push(`${index} ${what}`);
    };
    return {
      inboxes: ['bob', 'carol'],
      deliver: ({ lastId }) => work(`${lastId}`),
      deliverEphemeral: () => {
        work('ephemeral');
        return true;
      },
    };
  };

  const commit = (id: number): Message[] => [{ ...draft({ recipient: 'bob' }), id }];

  beforeEach(() => {
    hub = new Hub(String, new Turns());
    got = [];
    for (let index = 0; index < FOLLOWERS; index++) hub.add(follower(index));
  });

  /** How often others are served until something has settled. */
  const servedDuring = async (handed: Promise<unknown>): Promise<number> => {
    let served = 0;
    let isOver = false;
    const serve = (): void => {
      served++;
      if (!isOver) setImmediate(serve);
    };
    setImmediate(serve);
    await handed;
    isOver = true;
    return served;
  };

  test('hands a commit on in turns, between which others are served', async () => {
    const handed = hub.dispatch(commit(1));
    expect(got.length).toBeGreaterThan(0);
    expect(got.length).toBeLessThan(FOLLOWERS);
    expect(await servedDuring(handed)).toBeGreaterThan(4);
    expect(got).toHaveLength(FOLLOWERS);
  });

  test('hands a message that is not stored on in turns as well, and says then how many took it', async () => {
    const handed = hub.dispatchEphemeral(draft({ recipient: 'bob' }));
    expect(got.length).toBeLessThan(FOLLOWERS);
    expect(await servedDuring(handed)).toBeGreaterThan(4);
    expect(await handed).toBe(FOLLOWERS);
  });

  test('hands on one after the other: nobody gets anything in another order', async () => {
    await Promise.all([
      hub.dispatch(commit(1)),
      hub.dispatch(commit(2)),
      hub.dispatchEphemeral(draft({ recipient: 'carol' })),
      hub.dispatch(commit(3)),
    ]);
    for (let index = 0; index < FOLLOWERS; index++) {
      const own = got.filter((one) => one.startsWith(`${index} `));
      expect(own).toEqual(['1', '2', 'ephemeral', '3'].map((what) => `${index} ${what}`));
    }
  });

  test('lets messages go that are not stored if a thousand of them wait already', async () => {
    const quick = { inboxes: ['dan'], deliver: () => undefined, deliverEphemeral: () => true };
    hub.add(quick);
    const commits = hub.dispatch(commit(1));
    const taken = Array.from({ length: 1200 }, () => hub.dispatchEphemeral(draft({ recipient: 'dan' })));
    await commits;
    const counts = await Promise.all(taken);
    expect(counts.slice(0, 1000).every((count) => count === 1)).toBe(true);
    expect(counts.slice(1000).every((count) => count === 0)).toBe(true);
    expect(await hub.dispatchEphemeral(draft({ recipient: 'dan' }))).toBe(1);
  });
});

import { beforeEach, describe, expect, test } from '@jest/globals';
import { type Subscriber, Hub } from '../../src/hub/hub.ts';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import type { Message } from '../../src/message.ts';
import { ephemeral, message } from '../support/log-file.ts';

const SUBSCRIBERS = 100;

describe('a hub with many subscribers of an inbox', () => {
  let hub: Hub;
  let got: string[];

  /** Works for a millisecond on whatever it gets. */
  const newSubscriber = (index: number): Subscriber => {
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

  const commit = (id: number): Message[] => [message(id)];

  beforeEach(() => {
    hub = new Hub(String, new FairScheduler());
    got = [];
    for (let index = 0; index < SUBSCRIBERS; index++) hub.add(newSubscriber(index));
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

  test('a commit for many subscribers is dispatched in turns, between which others are served', async () => {
    const handed = hub.dispatch(commit(1));
    expect(got.length).toBeGreaterThan(0);
    expect(got.length).toBeLessThan(SUBSCRIBERS);
    expect(await servedDuring(handed)).toBeGreaterThan(4);
    expect(got).toHaveLength(SUBSCRIBERS);
  });

  test('a message that is not stored is dispatched in turns too, and its publisher then learns how many streams it reached', async () => {
    const handed = hub.dispatchEphemeral(ephemeral({ recipient: 'bob' }));
    expect(got.length).toBeLessThan(SUBSCRIBERS);
    expect(await servedDuring(handed)).toBeGreaterThan(4);
    expect(await handed).toBe(SUBSCRIBERS);
  });

  test('commits and messages that are not stored reach every subscriber in the order in which they were dispatched', async () => {
    await Promise.all([
      hub.dispatch(commit(1)),
      hub.dispatch(commit(2)),
      hub.dispatchEphemeral(ephemeral({ recipient: 'carol' })),
      hub.dispatch(commit(3)),
    ]);
    for (let index = 0; index < SUBSCRIBERS; index++) {
      const own = got.filter((one) => one.startsWith(`${index} `));
      expect(own).toEqual(['1', '2', 'ephemeral', '3'].map((what) => `${index} ${what}`));
    }
  });

  test('messages that are not stored are dropped if a thousand of them already wait', async () => {
    const quick = { inboxes: ['dan'], deliver: () => undefined, deliverEphemeral: () => true };
    hub.add(quick);
    const commits = hub.dispatch(commit(1));
    const taken = Array.from({ length: 1200 }, () => hub.dispatchEphemeral(ephemeral({ recipient: 'dan' })));
    await commits;
    const counts = await Promise.all(taken);
    expect(counts.slice(0, 1000).every((count) => count === 1)).toBe(true);
    expect(counts.slice(1000).every((count) => count === 0)).toBe(true);
    expect(await hub.dispatchEphemeral(ephemeral({ recipient: 'dan' }))).toBe(1);
  });
});

import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import type { PushStore } from '../../src/log/push-store.ts';
import { Notifier } from '../../src/push/notifier.ts';
import type { PushSender } from '../../src/push/push-sender.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { subscription } from '../support/push-subscription.ts';

test('a subscription that was stored though its commit failed is counted when the device tries again', async () => {
  const { log } = new MemoryLog({ now: Date.now });
  let fails = false;
  const pushStore = new Proxy(log.pushStore, {
    get(store, name) {
      const value: unknown = Reflect.get(store, name, store);
      if (name !== 'apply') return typeof value === 'function' ? (value.bind(store) as unknown) : value;
      return async (...changes: Parameters<PushStore['apply']>) => {
        const outcome = await store.apply(...changes);
        if (fails) throw new LogUnavailable('the files of the log were moved', { mayBeStored: true });
        return outcome;
      };
    },
  });
  const sender = {
    waiting: 0,
    resume: () => undefined,
    close: () => Promise.resolve(),
  } as unknown as PushSender;
  const logger = pino({ level: 'silent' });
  const parts = { log, pushStore, sender, logger, now: Date.now, delaySeconds: 60 };
  const notifier = new Notifier({ ...parts, scheduler: new FairScheduler() });
  notifier.start();
  fails = true;
  await expect(notifier.subscribe(subscription('bob'))).rejects.toThrow(LogUnavailable);
  expect(notifier.subscriptions).toBe(0);
  fails = false;
  expect(await notifier.subscribe(subscription('bob'))).toMatchObject({ isNew: false });
  expect(notifier.subscriptions).toBe(1);
  fails = true;
  await expect(notifier.remove(1)).rejects.toThrow(LogUnavailable);
  fails = false;
  await notifier.subscribe(subscription('carol'));
  expect(notifier.subscriptions).toBe(1);
  await notifier.close(0);
  await log.close();
});

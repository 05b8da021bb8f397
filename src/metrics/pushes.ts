import type { PushSender } from '../push/push-sender.ts';
import type { Pushes } from '../push/pushes.ts';
import type { Instruments } from './instruments.ts';

/** Notifications to devices without an open page. */
export function measurePushes(
  instruments: Instruments,
  { pushes, pushSender }: { pushes: Pushes; pushSender: PushSender },
): void {
  instruments.counters(
    'tidings_pushes_total',
    'Requests to push services, by outcome: sent, gone (there is no such device any more), refused (given up), failed (tried again later).',
    ['outcome'],
    () => Object.entries(pushSender.counts).map(([outcome, count]) => [{ outcome }, count]),
  );
  instruments.gauge(
    'tidings_pushes_in_flight',
    'Requests to push services that are under way.',
    () => pushSender.inFlight,
  );
  instruments.gauge(
    'tidings_pushes_waiting',
    'Devices whose notifications wait: for others to their push service to be sent, or for another try.',
    () => pushes.waiting,
  );
  instruments.gauge(
    'tidings_push_subscriptions',
    'Subscriptions to notifications: a device for each inbox that it follows.',
    () => pushes.subscriptions,
  );
}

import type { PushSender } from '../push/push-sender.ts';
import type { Notifier } from '../push/notifier.ts';
import type { Instruments } from './instruments.ts';

/** Measures notifications to devices without an open page. */
export function measureNotifications(
  instruments: Instruments,
  { notifier, pushSender }: { notifier: Notifier; pushSender: PushSender },
): void {
  instruments.counters(
    'tidings_notification_requests_total',
    'Requests to push services, by result: sent, gone (the device no longer exists), refused (given up), failed (retried later).',
    ['result'],
    () => Object.entries(pushSender.counts).map(([result, count]) => [{ result }, count]),
  );
  instruments.gauge(
    'tidings_notification_requests_in_flight',
    'Requests to push services that are in flight.',
    () => pushSender.inFlight,
  );
  instruments.gauge(
    'tidings_notification_devices_waiting',
    'Devices whose notifications are waiting for other requests to their push service, or for a retry.',
    () => notifier.waiting,
  );
  instruments.gauge(
    'tidings_push_subscriptions',
    'Subscriptions to notifications, one for each device and inbox.',
    () => notifier.subscriptions,
  );
}

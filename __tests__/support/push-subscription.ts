/** A device's subscription to notifications about an inbox, as the log stores it. */
import type { NewPushSubscription } from '../../src/log/push-store.ts';

export const subscription = (recipient: string): NewPushSubscription => ({
  client: null,
  recipient,
  reader: recipient,
  endpoint: 'https://push.example/1',
  p256dh: 'key',
  auth: 'secret',
  expirationTime: null,
});

import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import webPush from 'web-push';
import type { PushSubscription } from '../log/push-store.ts';
import type { VapidSigner } from './vapid-signer.ts';

/** A message for a device, before it is encrypted. */
export interface Push {
  readonly payload: string;
  /** The conversation that it is about. */
  readonly peer: string;
  /** Milliseconds since the Unix epoch; `null` where it does not expire. */
  readonly expiresAt: number | null;
  readonly urgency: 'high' | 'normal';
}

/** What is sent to the push service. */
export interface PushRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The longest that push services keep a message for a device that is off. */
const MOST_SECONDS = 4 * 7 * 86_400;

/** RFC 8030 §5.4: at most 32 characters of base64url. */
const TOPIC_BYTES = 24;

/**
 * Encrypts a message for a device and signs it (RFC 8291, RFC 8292).
 *
 * @param now milliseconds since the Unix epoch
 */
export function pushRequest(
  subscription: PushSubscription,
  push: Push,
  signer: VapidSigner,
  now: number,
): PushRequest {
  const { endpoint, p256dh, auth } = subscription;
  const { headers, body } = webPush.generateRequestDetails(
    { endpoint, keys: { p256dh, auth } },
    push.payload,
    {
      headers: { Authorization: signer.authorization(new URL(endpoint).origin, now) },
      topic: topicOf(subscription, push.peer),
      TTL: secondsLeft(push.expiresAt, now),
      urgency: push.urgency,
    },
  );
  return { headers: headers, body: body };
}

/**
 * The name of a conversation for the push service, which keeps one message of it: the newest. Made with the device's
 * secret, so that it says nothing of who talks to whom.
 */
function topicOf({ recipient, auth }: PushSubscription, peer: string): string {
  const digest = createHmac('sha256', auth)
    .update(JSON.stringify([recipient, peer]))
    .digest();
  return digest.subarray(0, TOPIC_BYTES).toString('base64url');
}

function secondsLeft(expiresAt: number | null, now: number): number {
  if (expiresAt === null) return MOST_SECONDS;
  return Math.max(0, Math.min(MOST_SECONDS, Math.ceil((expiresAt - now) / 1000)));
}

import { createHmac } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { PushSubscription } from '../log/push-store.ts';
import { encryptPush } from './encrypt.ts';
import type { VapidSigner } from './vapid-signer.ts';

/** A push message (RFC 8030 §2) before it is encrypted. */
export interface PushMessage {
  readonly payload: string;
  /** The conversation that it is about. */
  readonly peer: string;
  /** Milliseconds since the Unix epoch; `null` if it does not expire. */
  readonly expiresAt: number | null;
  readonly urgency: 'high' | 'normal';
}

/** A request to a push service. */
export interface PushRequest {
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** The longest time that push services keep a message for a device that is off. */
const MAX_SECONDS = 4 * 7 * 86_400;

/** RFC 8030 §5.4 allows 32 characters of base64url. */
const TOPIC_BYTES = 24;

/**
 * Encrypts a message for a device and signs it (RFC 8291, RFC 8292).
 *
 * @param now milliseconds since the Unix epoch
 */
export async function pushRequest(
  subscription: PushSubscription,
  push: PushMessage,
  signer: VapidSigner,
  now: number,
): Promise<PushRequest> {
  const { endpoint, p256dh, auth } = subscription;
  const body = encryptPush(push.payload, { p256dh, auth });
  const headers = {
    Authorization: await signer.authorization(new URL(endpoint).origin, now),
    'Content-Encoding': 'aes128gcm',
    'Content-Length': body.length,
    'Content-Type': 'application/octet-stream',
    Topic: topicOf(subscription, push.peer),
    TTL: secondsLeft(push.expiresAt, now),
    Urgency: push.urgency,
  };
  return { headers, body };
}

/**
 * Returns the topic of a conversation. A push service keeps only the newest message of a topic. It is a digest with the
 * device's secret, so it does not tell who talks to whom.
 */
function topicOf({ recipient, auth }: PushSubscription, peer: string): string {
  const digest = createHmac('sha256', auth)
    .update(JSON.stringify([recipient, peer]))
    .digest();
  return digest.subarray(0, TOPIC_BYTES).toString('base64url');
}

function secondsLeft(expiresAt: number | null, now: number): number {
  if (expiresAt === null) return MAX_SECONDS;
  return Math.max(0, Math.min(MAX_SECONDS, Math.ceil((expiresAt - now) / 1000)));
}

import { describe, expect, test } from '@jest/globals';
import { type PushMessage, pushRequest } from '../../src/push/push-request.ts';
import { newVapidKeys } from '../../src/push/vapid.ts';
import { VapidSigner } from '../../src/push/vapid-signer.ts';
import { PushDevice } from '../support/push-device.ts';

const vapid = { ...newVapidKeys(), subject: 'mailto:operator@example.org' };
const signer = new VapidSigner(vapid);
const push: PushMessage = { payload: '{"type":"message"}', peer: 'alice', expiresAt: null, urgency: 'high' };

/** A stored subscription of a device. */
const stored = (device: PushDevice, recipient = 'bob') => {
  const { endpoint, keys } = device.subscription;
  const times = { expirationTime: null, createdAt: 0, since: 0, through: 0 };
  return { id: 1, client: null, recipient, reader: recipient, endpoint, ...keys, ...times };
};

/** Opens what would be sent to a device. */
async function open(
  device: PushDevice,
  change: Partial<PushMessage> = {},
  now = Date.now(),
  recipient = 'bob',
) {
  const { headers, body } = await pushRequest(stored(device, recipient), { ...push, ...change }, signer, now);
  const { host, pathname: path } = new URL(device.endpoint);
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
  return device.open({ host, path, headers: Object.fromEntries(lower) as Record<string, string>, body });
}

describe('a request to a push service', () => {
  test('a push request is encrypted for its device alone, each time with another key, and signed for its push service', async () => {
    const device = new PushDevice();
    const opened = await open(device);
    expect(opened).toMatchObject({
      payload: { type: 'message' },
      publicKey: vapid.publicKey,
      claims: { aud: 'https://push.example.org', sub: vapid.subject },
    });
    const { body } = await pushRequest(stored(device), push, signer, Date.now());
    const { body: other } = await pushRequest(stored(device), push, signer, Date.now());
    expect(body.equals(other)).toBe(false);
    expect(() => new PushDevice().decrypt(body)).toThrow();
  });

  test('a push request has a topic for its conversation: always the same, and nobody else can tell which', async () => {
    const device = new PushDevice();
    const topics = new Set<string>();
    for (const [peer, recipient] of [
      ['alice', 'bob'],
      ['carol', 'bob'],
      ['alice', 'bo'],
      ['b', 'bobalice'],
    ] as const) {
      const topic = (await open(device, { peer }, Date.now(), recipient)).topic;
      expect(topic).toMatch(/^[A-Za-z0-9_-]{1,32}$/);
      expect((await open(device, { peer }, Date.now(), recipient)).topic).toBe(topic);
      topics.add(topic);
    }
    expect(topics.size).toBe(4);
    expect(topics).not.toContain((await open(new PushDevice())).topic);
  });

  test.each([
    [null, 2_419_200],
    [90_000, 90],
    [90_001, 91],
    [1, 1],
    [0, 0],
    [-1000, 0],
    [1e15, 2_419_200],
  ])('a message that expires in %p ms is kept for %d seconds by the push service', async (left, ttl) => {
    const now = Date.now();
    const expiresAt = left === null ? null : now + left;
    expect((await open(new PushDevice(), { expiresAt }, now)).ttl).toBe(ttl);
  });

  test('a push request gets a new signature for each push service, after an hour, and if the clock was set back', async () => {
    const now = Date.now();
    const times = [now, now + 3_599_999, now + 3_600_000, now - 1];
    const fresh = new VapidSigner(vapid);
    const [first, same, later, earlier] = await Promise.all(
      times.map((time) => fresh.authorization('https://push.example.org', time)),
    );
    expect(same).toBe(first);
    const other = await fresh.authorization('https://other.example.org', now);
    expect(new Set([first, later, earlier, other]).size).toBe(4);
  });

  test('a push request has the urgency of its message', async () => {
    for (const urgency of ['high', 'normal'] as const) {
      expect((await open(new PushDevice(), { urgency })).urgency).toBe(urgency);
    }
  });
});

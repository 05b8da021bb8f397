import { createECDH } from 'node:crypto';
import { decrypt } from 'http_ece';
import { expect, test } from '@jest/globals';
import { encryptPush } from '../../src/push/encrypt.ts';
import { PushDevice } from '../support/push-device.ts';

/** RFC 8291, appendix A. */
const EXAMPLE = {
  plaintext: 'When I grow up, I want to be a watermelon',
  device: {
    p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
    auth: 'BTBZMqHH6r4Tts7J_aSIgg',
  },
  privateKey: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
  publicKey: 'BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8',
  salt: 'DGv6ra1nlYgDCS1FRnbzlw',
  body:
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95b' +
    'Qpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
};

test('the encryption matches the example of RFC 8291 to the byte', () => {
  const keys = createECDH('prime256v1');
  keys.setPrivateKey(EXAMPLE.privateKey, 'base64url');
  expect(keys.getPublicKey('base64url')).toBe(EXAMPLE.publicKey);
  const salt = Buffer.from(EXAMPLE.salt, 'base64url');
  const body = encryptPush(EXAMPLE.plaintext, EXAMPLE.device, { keys, salt });
  expect(body.toString('base64url')).toBe(EXAMPLE.body);
});

test.each([0, 1, 15, 16, 17, 3072, 4079])(
  'another implementation decrypts a message of %d bytes for its device',
  (bytes) => {
    const device = new PushDevice();
    const text = 'é'.repeat(bytes / 2) + 'x'.repeat(bytes % 2);
    const body = encryptPush(text, device.subscription.keys);
    expect(device.decrypt(body).toString()).toBe(text);
    expect(body).toHaveLength(16 + 4 + 1 + 65 + bytes + 1 + 16);
  },
);

test('a message that is longer than a record is refused', () => {
  const { keys } = new PushDevice().subscription;
  expect(() => encryptPush('x'.repeat(4080), keys)).toThrow(
    new RangeError('a push message has at most 4079 bytes'),
  );
});

test('each message has a key pair and a salt of its own, so that no two bodies have anything in common', () => {
  const { keys } = new PushDevice().subscription;
  const bodies = Array.from({ length: 20 }, () => encryptPush('x', keys));
  expect(new Set(bodies.map((body) => body.subarray(0, 16).toString('hex'))).size).toBe(20);
  expect(new Set(bodies.map((body) => body.subarray(21, 86).toString('hex'))).size).toBe(20);
});

test('a device whose point is not on the curve is refused', () => {
  const { keys } = new PushDevice().subscription;
  const p256dh = Buffer.alloc(65, 7).fill(4, 0, 1).toString('base64url');
  expect(() => encryptPush('x', { ...keys, p256dh })).toThrow('Public key is not valid for specified curve');
});

test('the decryption in the tests decrypts the example of RFC 8291', () => {
  const privateKey = createECDH('prime256v1');
  privateKey.setPrivateKey('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94', 'base64url');
  const authSecret = Buffer.from(EXAMPLE.device.auth, 'base64url');
  const parameters = { version: 'aes128gcm', privateKey, authSecret } as const;
  const body = Buffer.from(EXAMPLE.body, 'base64url');
  expect(decrypt(body, parameters).toString()).toBe(EXAMPLE.plaintext);
  body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
  expect(() => decrypt(body, parameters)).toThrow();
});

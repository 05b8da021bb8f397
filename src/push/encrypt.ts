/** The encryption of push messages (RFC 8291), in one record of the content coding aes128gcm (RFC 8188). */
import { createCipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from 'node:crypto';

/** The keys of a device, in base64url: its P-256 point, and the secret that it shares with this service. */
export interface DeviceKeys {
  readonly p256dh: string;
  readonly auth: string;
}

/** The fresh values of one message. They must never be used again. */
export interface FreshValues {
  /** A P-256 key pair for this message only. */
  readonly keys: ECDH;
  /** 16 random bytes. */
  readonly salt: Buffer;
}

const CURVE = 'prime256v1';
const SALT_BYTES = 16;
const TAG_BYTES = 16;

/** The size of a record. A push message has only one record (RFC 8291 §4). */
const RECORD_BYTES = 4096;

/** The end of the last record. Padding would be zeros after it (RFC 8188 §2). */
const LAST_RECORD = Buffer.of(2);

/**
 * Encrypts a push message for a device.
 *
 * @param fresh replaces the random values in tests
 * @returns the body of the request, with the header of the content coding
 * @throws {RangeError} if the text does not fit into a record; {Error} if the device's point is not on the curve
 */
export function encryptPush(text: string, device: DeviceKeys, fresh = freshValues()): Buffer {
  const plaintext = Buffer.concat([Buffer.from(text), LAST_RECORD]);
  if (plaintext.length + TAG_BYTES > RECORD_BYTES) {
    throw new RangeError(`a push message has at most ${RECORD_BYTES - TAG_BYTES - LAST_RECORD.length} bytes`);
  }
  const { keys, salt } = fresh;
  const [from, to] = [keys.getPublicKey(), Buffer.from(device.p256dh, 'base64url')];
  const shared = keys.computeSecret(to);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), to, from]);
  const input = hkdf(shared, Buffer.from(device.auth, 'base64url'), info, 32);
  const key = hkdf(input, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
  const nonce = hkdf(input, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  const record = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([salt, uint32(RECORD_BYTES), Buffer.of(from.length), from, ...record]);
}

function freshValues(): FreshValues {
  const keys = createECDH(CURVE);
  keys.generateKeys();
  return { keys, salt: randomBytes(SALT_BYTES) };
}

/** Derives a key (RFC 5869). */
function hkdf(input: Buffer, salt: Buffer, info: Buffer, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', input, salt, info, bytes));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

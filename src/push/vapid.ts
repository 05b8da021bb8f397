import { createECDH, generateKeyPairSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import { StartError } from '../start-error.ts';

/** The key pair that identifies this service to push services (RFC 8292), in base64url. */
export interface VapidKeys {
  /** The key that browsers subscribe with. */
  readonly publicKey: string;
  readonly privateKey: string;
}

const PUBLIC_KEY = /^[A-Za-z0-9_-]{87}$/;
const PRIVATE_KEY = /^[A-Za-z0-9_-]{43}$/;

/** Returns the file of the key pair. It is beside the real file of the database, whichever link names that. */
export function vapidFile(database: string): string {
  return explain(database, () => `${realFile(database)}-vapid.json`);
}

/**
 * Returns the key pair of the two variables.
 *
 * @returns `undefined` if neither is set
 * @throws {StartError} if one half is missing, or the two are not a pair
 */
export function checkedPair(
  publicKey: string | undefined,
  privateKey: string | undefined,
): VapidKeys | undefined {
  if (publicKey === undefined && privateKey === undefined) return undefined;
  if (publicKey === undefined || privateKey === undefined) {
    throw new StartError('VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY belong together. Set both, or neither.');
  }
  if (isPair({ publicKey, privateKey })) return { publicKey, privateKey };
  throw new StartError(
    'VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are not a P-256 key pair in base64url: make one with ' +
      '"npx web-push generate-vapid-keys".',
  );
}

function isPair({ publicKey, privateKey }: VapidKeys): boolean {
  if (!PUBLIC_KEY.test(publicKey) || !PRIVATE_KEY.test(privateKey)) return false;
  const pair = createECDH('prime256v1');
  try {
    pair.setPrivateKey(privateKey, 'base64url');
  } catch {
    return false;
  }
  return pair.getPublicKey().equals(Buffer.from(publicKey, 'base64url'));
}

/**
 * Reads the key pair that an earlier start made.
 *
 * @returns `undefined` if there is none yet
 * @throws {StartError} if it cannot be read, or is not a key pair: a new pair would not reach any subscribed browser
 */
export function readVapidKeys(file: string): VapidKeys | undefined {
  if (!existsSync(file)) return undefined;
  const advice =
    'Restore it from a backup, or move it away: a new one is made then, and all devices must subscribe again.';
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError(
      `${file}, the key pair for notifications, cannot be read (${(error as Error).message}). ` +
        'Give this user the right to read it, or set VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY.',
    );
  }
  const keys = parse(text);
  if (keys === undefined || !isPair(keys)) {
    throw new StartError(`${file} is not a key pair for notifications. ${advice}`);
  }
  return keys;
}

/** Returns a new key pair. */
export function newVapidKeys(): VapidKeys {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // Unlike ECDH, its halves always have all of their bytes.
  const { x = '', y = '', d = '' } = privateKey.export({ format: 'jwk' });
  const point = [Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
  return { publicKey: Buffer.concat(point).toString('base64url'), privateKey: d };
}

/**
 * Makes a key pair and stores it in a file that only this user can read.
 *
 * @throws {StartError} if it cannot be written
 */
export function makeVapidKeys(file: string): VapidKeys {
  const keys = newVapidKeys();
  storeVapidKeys(file, keys);
  return keys;
}

/**
 * Stores the key pair of a cluster beside this node's database: devices have subscribed with it, and NATS may lose it. A
 * different pair that is there is moved aside. Does nothing if the file has this pair already.
 *
 * @returns the file with the other pair; `undefined` if there was none
 * @throws {StartError} if it cannot be written
 */
export function keepVapidKeys(file: string, keys: VapidKeys): string | undefined {
  const kept = readVapidKeys(file);
  if (kept?.privateKey === keys.privateKey) return undefined;
  const aside = `${file}-before-${kept?.publicKey.slice(0, 8) ?? ''}`;
  if (kept !== undefined) explain(file, () => renameSync(file, aside));
  storeVapidKeys(file, keys);
  return kept === undefined ? undefined : aside;
}

/** Stores a key pair in a file that only this user can read. @throws {StartError} if it cannot be written */
export function storeVapidKeys(file: string, keys: VapidKeys): void {
  explain(file, () => {
    // The file is renamed when it is complete: half a file would make every later start fail.
    const unfinished = `${file}-new`;
    rmSync(unfinished, { force: true });
    const descriptor = openSync(unfinished, 'wx', 0o600);
    try {
      writeSync(descriptor, `${JSON.stringify(keys)}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, file);
  });
}

function parse(text: string): VapidKeys | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof VapidKeys, unknown>> | null;
    const { publicKey, privateKey } = value ?? {};
    if (typeof publicKey !== 'string' || typeof privateKey !== 'string') return undefined;
    return { publicKey, privateKey };
  } catch {
    return undefined;
  }
}

import { createECDH } from 'node:crypto';
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
import webPush from 'web-push';
import { explain } from '../log/database.ts';
import { realFile } from '../log/place.ts';
import { StartError } from '../start-error.ts';

/** The key pair by which push services know this service (RFC 8292), base64url. */
export interface VapidKeys {
  /** What browsers subscribe with. */
  readonly publicKey: string;
  readonly privateKey: string;
}

const PUBLIC_KEY = /^[A-Za-z0-9_-]{87}$/;
const PRIVATE_KEY = /^[A-Za-z0-9_-]{43}$/;

/** Where the key pair of a log is kept: beside its database, by whichever name that is called. */
export function vapidFile(database: string): string {
  return explain(database, () => `${realFile(database)}-vapid.json`);
}

/**
 * The key pair of two variables.
 *
 * @returns `undefined` where neither is set
 * @throws {StartError} where one half is missing, or they are not of one pair
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
    'VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are not the halves of one pair of P-256, in base64url: make one with ' +
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
 * @returns `undefined` where there is none yet
 * @throws {StartError} where it cannot be read, or is none: with another pair no browser that subscribed would be reached
 */
export function readVapidKeys(file: string): VapidKeys | undefined {
  if (!existsSync(file)) return undefined;
  const advice =
    'Restore it from a backup, or move it away: then a new one is made, and all devices have to subscribe anew.';
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
    throw new StartError(`${file} is not the key pair for notifications that was put there. ${advice}`);
  }
  return keys;
}

/**
 * Makes a key pair and keeps it in a file that only this user can read.
 *
 * @throws {StartError} where it cannot be written
 */
export function makeVapidKeys(file: string): VapidKeys {
  const keys = webPush.generateVAPIDKeys();
  explain(file, () => {
    // In place only when it is whole: a half of it would keep every later start from starting.
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
  return keys;
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

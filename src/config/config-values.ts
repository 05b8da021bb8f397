/** Readers of each kind of setting. If a text breaks its rule, they throw the rule as the end of the sentence "NAME …". */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import proxyaddr from 'proxy-addr';
import type { Secrets } from '../auth/secret-keys.ts';
import { secretOf, secretsIn } from '../auth/secrets.ts';
import { BROWSERS_PUSH_HOSTS, PushHosts } from '../push/push-hosts.ts';
import { flagFault } from '../flag-fault.ts';
import { UsageError } from '../start-error.ts';
import { MAX_STREAMS, streamsWithin } from './open-files.ts';

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Returns a reader of whole numbers from `min` to `max`. */
export function readInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new Error(`must be a whole number from ${min} to ${max}`);
  };
}

/** Reads how many streams may be open. The limit on open files bounds it. */
export function readMaxStreams(text: string, openFiles: number): number {
  const value = readInteger(1, MAX_STREAMS)(text);
  const room = streamsWithin(openFiles);
  if (value <= room) return value;
  throw new Error(
    `must be at most ${room}: this process may open ${openFiles} files; raise that limit (ulimit -n)`,
  );
}

/** Reads messages a second; `undefined` if the text is empty. */
export function readPublishRate(text: string): number | undefined {
  return text === '' ? undefined : readInteger(0, 1_000_000)(text);
}

/** Reads an address to listen on. Whether other machines may reach it depends on the keys, and is checked later. */
export function readHost(text: string): string {
  const address = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(address)) return address;
  throw new Error('must be an IP address or a host name, such as 127.0.0.1 or 0.0.0.0');
}

/** Returns whether other machines cannot reach an address to listen on. */
export function isLoopbackAddress(address: string): boolean {
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** Reads the URL at which clients reach the service, without a slash at its end; `undefined` if the text is empty. */
export function readPublicUrl(text: string): URL | undefined {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const extra = url === undefined ? 'none' : url.search + url.hash + url.username;
  if (url === undefined || extra !== '' || !/^https?:$/.test(url.protocol)) {
    throw new Error('must be an http or https URL without a query, such as https://push.example.org/tidings');
  }
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** Reads whether retention trusts the clock even if it is far from the time of the newest message. */
export function readRetentionClock(text: string): 'checked' | 'trusted' {
  if (text === 'checked' || text === 'trusted') return text;
  throw new Error('must be checked or trusted');
}

/** Reads whether a copy of the database is kept before a new version changes it. */
export function readUpgradeCopy(text: string): 'kept' | 'none' {
  if (text === 'kept' || text === 'none') return text;
  throw new Error('must be kept or none');
}

/** Reads the path of a file, and makes it absolute. */
export function readPath(text: string): string {
  if (text.includes('\0')) throw new Error('must be a path');
  return resolve(text);
}

/** Reads which proxies are trusted, as the setting `trust proxy` of Express. */
export function readTrust(text: string): boolean | number | string {
  if (text === '' || text === 'false') return false;
  if (text === 'true') return true;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  const proxies = text.split(',').map((part) => part.trim());
  try {
    proxyaddr.compile(proxies);
    // A lone number would be an address: 1000 is 0.0.3.232, and 10/8 is in 0.0.0.0/8.
    if (!proxies.some((proxy) => /^(?:\d+|0x[\da-f]+)(?:\/|$)/i.test(proxy))) return text;
  } catch {
    // The message below says what is allowed.
  }
  throw new Error('must be true, false, a number of proxies up to 999, or a list of addresses and subnets');
}

/** Reads the level of the service's log. */
export function readLevel(text: string): string {
  if (LEVELS.includes(text)) return text;
  throw new Error(`must be one of ${LEVELS.join(', ')}`);
}

/** Reads the secret of HS256 tokens from the variable itself; `undefined` if that is empty. */
export function readSecret(text: string): Secrets | undefined {
  return text === '' ? undefined : { list: [secretOf(text)], file: undefined };
}

/** Reads the secrets of HS256 tokens from a file; `undefined` if the path is empty. */
export function readSecretFile(path: string): Secrets | undefined {
  if (path === '') return undefined;
  const file = readPath(path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Error(`cannot be read (${(error as Error).message})`, { cause: error });
  }
  try {
    return { list: secretsIn(bytes), file };
  } catch (error) {
    throw new Error(`names a file ${(error as Error).message}`, { cause: error });
  }
}

/** Reads where public keys come from: the path of a file, or an https URL; `undefined` if the text is empty. */
export function readKeySource(text: string): string | URL | undefined {
  if (text === '') return undefined;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return readPath(text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' && url.username === '') return url;
  throw new Error(
    'must be a file or an https URL: over http, anybody on the network could replace the keys and make tokens',
  );
}

/** Reads a text without a rule; `undefined` if it is empty. */
export function readText(text: string): string | undefined {
  return text === '' ? undefined : text;
}

/** Reads origins as browsers send them, separated by commas or white space. */
export function readOrigins(text: string): readonly string[] {
  const origins = text.split(/[\s,]+/).filter((origin) => origin !== '');
  for (const origin of origins) {
    if (
      URL.canParse(origin) &&
      /^https?:$/.test(new URL(origin).protocol) &&
      new URL(origin).origin === origin &&
      !origin.includes('*')
    )
      continue;
    throw new Error(
      'must be a list of exact origins, such as https://app.example.org, without a path or a "*"',
    );
  }
  return origins;
}

/** Reads the hosts of push services, separated by commas or white space. */
export function readPushHosts(text: string): PushHosts {
  const hosts = text.split(/[\s,]+/).filter((host) => host !== '');
  return new PushHosts(hosts.length === 0 ? BROWSERS_PUSH_HOSTS : hosts);
}

/** Reads the contact for push services (RFC 8292 §2.1); `undefined` if the text is empty. */
export function readVapidSubject(text: string): string | undefined {
  if (text === '') return undefined;
  if (/^mailto:[^\s@]+@[^\s@]+$/.test(text)) return text;
  if (URL.canParse(text) && new URL(text).protocol === 'https:') return text;
  throw new Error('must be a mailto: address or an https: URL, such as mailto:operator@example.org');
}

/** Reads the flags of a command line. @throws {UsageError} if one has another name, or no value */
export function readFlags(
  args: readonly string[],
  names: readonly string[],
): Record<string, string | undefined> {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    throw new UsageError(`${flagFault(error)} The flags are ${names.map((name) => `--${name}`).join(', ')}.`);
  }
}

/** How the text of each kind of setting is read. What breaks its rule is thrown as the end of the sentence "NAME …". */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import proxyaddr from 'proxy-addr';
import type { Secrets } from './auth/secret-keys.ts';
import { secretOf, secretsIn } from './auth/secrets.ts';
import { BROWSERS_PUSH_HOSTS, PushHosts } from './push/push-hosts.ts';
import { StartError } from './start-error.ts';

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

export function readInteger(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new Error(`must be a whole number from ${least} to ${most}`);
  };
}

/** An address to listen on; whether others than this machine may reach it, the keys decide. */
export function readHost(text: string): string {
  const address = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(address)) return address;
  throw new Error('must be an IP address or a host name, such as 127.0.0.1 or 0.0.0.0');
}

/** Whether an address to listen on is this machine's own, which no other one reaches. */
export function isLoopbackAddress(address: string): boolean {
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

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

export function readRetentionClock(text: string): 'checked' | 'trusted' {
  if (text === 'checked' || text === 'trusted') return text;
  throw new Error('must be checked or trusted');
}

export function readPath(text: string): string {
  if (text.includes('\0')) throw new Error('must be a path');
  return resolve(text);
}

export function readTrust(text: string): boolean | number | string {
  if (text === '' || text === 'false') return false;
  if (text === 'true') return true;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  try {
    proxyaddr.compile(text.split(',').map((part) => part.trim()));
    return text;
  } catch {
    throw new Error('must be true, false, a number of proxies, or a list of addresses and subnets');
  }
}

export function readLevel(text: string): string {
  if (LEVELS.includes(text)) return text;
  throw new Error(`must be one of ${LEVELS.join(', ')}`);
}

/** The secret of HS256 tokens, as it stands in a variable. */
export function readSecret(text: string): Secrets | undefined {
  return text === '' ? undefined : { list: [secretOf(text)], file: undefined };
}

/** The secrets of HS256 tokens, in a file. */
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

/** Where the public keys of tokens are: a file, or an https URL. */
export function readKeySource(text: string): string | URL | undefined {
  if (text === '') return undefined;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return readPath(text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' && url.username === '') return url;
  throw new Error('must be a file or an https URL: whoever can change the keys on the way can make tokens');
}

/** A text without a rule; `undefined` where it is empty. */
export function readText(text: string): string | undefined {
  return text === '' ? undefined : text;
}

/** Origins, as browsers send them, between commas or spaces. */
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

/** The hosts of push services, between commas or spaces. */
export function readPushHosts(text: string): PushHosts {
  const hosts = text.split(/[\s,]+/).filter((host) => host !== '');
  try {
    return new PushHosts(hosts.length === 0 ? BROWSERS_PUSH_HOSTS : hosts);
  } catch (error) {
    throw new Error((error as Error).message, { cause: error });
  }
}

/** Whom push services can write to (RFC 8292 §2.1). */
export function readVapidSubject(text: string): string | undefined {
  if (text === '') return undefined;
  if (/^mailto:[^\s@]+@[^\s@]+$/.test(text)) return text;
  if (URL.canParse(text) && new URL(text).protocol === 'https:') return text;
  throw new Error('must be a mailto: address or an https: URL, such as mailto:operator@example.org');
}

/** Reads the flags of a command line. @throws {StartError} if one has another name, or no value */
export function readFlags(
  args: readonly string[],
  names: readonly string[],
): Record<string, string | undefined> {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    const [why = ''] = (error as Error).message.split('. ');
    throw new StartError(`${why}. The flags are ${names.map((name) => `--${name}`).join(', ')}.`);
  }
}

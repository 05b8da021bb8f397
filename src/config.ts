import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import proxyaddr from 'proxy-addr';
import { StartError } from './start-error.ts';

/** What the operator decided; read once at the start. */
export interface Config {
  readonly port: number;
  readonly host: string;
  /** Where clients reach the service, without a slash at its end; `undefined` where only the request tells. */
  readonly publicUrl: URL | undefined;
  readonly database: string;
  readonly retentionDays: number;
  readonly retentionMessages: number;
  readonly heartbeatSeconds: number;
  readonly maxStreams: number;
  readonly trustProxy: boolean | number | string;
  readonly logLevel: string;
}

/** A variable: how it is read, and what stands for it where it is not set. */
interface Variable<T> {
  readonly fallback: string;
  readonly about: string;
  /** @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME … " */
  readonly read: (text: string) => T;
}

/** Files other than connections that a process has open: the database, the log, the listener, requests under way. */
const RESERVED_FILES = 256;

/** Where the system sets no limit on open files, memory is the limit: at about 20 KB a stream this is 2 GB. */
const MOST_STREAMS = 100_000;

/** Settings of the contract that come with tokens. To take them in silence would leave open what was meant to be shut. */
const NOT_YET = /^(AUTH_.*|CORS_ORIGINS|PUBLISH_RATE|MAX_STREAMS_PER_CLIENT)$/;

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new Error(`must be a whole number from ${least} to ${most}`);
  };
}

function variables(
  openFiles: number,
): { [Key in keyof Config]: Variable<Config[Key]> } & Record<string, unknown> {
  const room = Math.max(1, Math.min(MOST_STREAMS, openFiles - RESERVED_FILES));
  return {
    port: { fallback: '7070', about: 'port to listen on; 0 takes a free one', read: integer(0, 65_535) },
    host: { fallback: '127.0.0.1', about: 'address to listen on', read: readHost },
    publicUrl: { fallback: '', about: 'where clients reach the service', read: readPublicUrl },
    database: { fallback: 'data/tidings.sqlite', about: 'file of the log', read: readPath },
    retentionDays: {
      fallback: '0',
      about: 'how long messages are kept; 0: for ever',
      read: integer(0, 36_500),
    },
    retentionMessages: {
      fallback: '0',
      about: 'how many are kept for one recipient; 0: all',
      read: integer(0, 1_000_000_000),
    },
    heartbeatSeconds: {
      fallback: '15',
      about: 'silence on a stream before a heartbeat',
      read: integer(1, 3600),
    },
    maxStreams: {
      fallback: String(room),
      about: 'streams and held polls open at once',
      read: (text) => {
        const value = integer(1, MOST_STREAMS)(text);
        if (value <= room) return value;
        throw new Error(
          `must be at most ${room}: this process may open ${openFiles} files; raise that limit (ulimit -n)`,
        );
      },
    },
    trustProxy: {
      fallback: '',
      about: "which proxies' X-Forwarded-For is believed, as Express has it",
      read: readTrust,
    },
    logLevel: { fallback: 'info', about: LEVELS.join(', '), read: readLevel },
  };
}

/** The name of a key's environment variable: `retentionDays` is `RETENTION_DAYS`. */
function variableName(key: string): string {
  return key.replaceAll(/[A-Z]/g, '_$&').toUpperCase();
}

/** The name of a key's flag: `retentionDays` is `retention-days`. */
function flagName(key: string): string {
  return variableName(key).toLowerCase().replaceAll('_', '-');
}

/**
 * Reads the configuration: a flag before its environment variable before the default. An empty value is none.
 *
 * @param args the command line after the program's name
 * @param openFiles how many files this process may open
 * @throws {StartError} that names the variable or flag, and its rule
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
  openFiles: number,
): Config {
  const known = variables(openFiles);
  for (const [name, value] of Object.entries(environment)) {
    if (NOT_YET.test(name) && value !== undefined && value !== '') {
      throw new StartError(
        `${name} is set, and this version has no tokens: it serves loopback, open to all. Unset it.`,
      );
    }
  }
  const flags = readFlags(args, Object.keys(known));
  const entries = Object.entries(known).map(([key, variable]) => {
    const { fallback, read } = variable as Variable<unknown>;
    const flag = flags[flagName(key)];
    const given = flag ?? environment[variableName(key)] ?? '';
    const name = flag === undefined ? variableName(key) : `--${flagName(key)}`;
    try {
      return [key, read(given === '' ? fallback : given)];
    } catch (error) {
      throw new StartError(`${name} ${(error as Error).message}, not "${given.slice(0, 100)}".`);
    }
  });
  return Object.freeze(Object.fromEntries(entries) as Config);
}

/** What `--help` prints. */
export function usage(openFiles: number): string {
  const rows = Object.entries(variables(openFiles)).map(([key, variable]) => {
    const { fallback, about } = variable as Variable<unknown>;
    return `  --${flagName(key).padEnd(20)} ${variableName(key).padEnd(20)} ${fallback.padEnd(20)} ${about}\n`;
  });
  return `Usage: node dist/main.js [--flag value]...\n\n  flag                   variable             default\n${rows.join('')}`;
}

function readFlags(args: readonly string[], keys: readonly string[]): Record<string, string | undefined> {
  try {
    const options = Object.fromEntries(keys.map((key) => [flagName(key), { type: 'string' as const }]));
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    const [why = ''] = (error as Error).message.split('. ');
    throw new StartError(`${why}. The flags are ${keys.map((key) => `--${flagName(key)}`).join(', ')}.`);
  }
}

/** Without a key everybody may do everything, so nobody but this machine may reach it. */
function readHost(text: string): string {
  const address = text.replace(/^\[(.*)\]$/, '$1');
  const loopback =
    address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
  if (loopback) return address;
  throw new Error(
    'must be loopback (127.0.0.1, ::1 or localhost): no key is configured, and this version has none to configure ' +
      '(AUTH_SECRET is to come). For other machines, put a proxy that authenticates in front',
  );
}

function readPublicUrl(text: string): URL | undefined {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const extra = url === undefined ? 'none' : url.search + url.hash + url.username;
  if (url === undefined || extra !== '' || !/^https?:$/.test(url.protocol)) {
    throw new Error('must be an http or https URL without a query, such as https://push.example.org/tidings');
  }
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

function readPath(text: string): string {
  if (text.includes('\0')) throw new Error('must be a path');
  return resolve(text);
}

function readTrust(text: string): boolean | number | string {
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

function readLevel(text: string): string {
  if (LEVELS.includes(text)) return text;
  throw new Error(`must be one of ${LEVELS.join(', ')}`);
}

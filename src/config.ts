import type { Secrets } from './auth/secret-keys.ts';
import { checkText } from './clean-text.ts';
import {
  isLoopbackAddress,
  LEVELS,
  readFlags,
  readHost,
  readInteger,
  readKeySource,
  readLevel,
  readOrigins,
  readPath,
  readPublicUrl,
  readPushHosts,
  readRetentionClock,
  readSecret,
  readSecretFile,
  readText,
  readTrust,
  readVapidSubject,
} from './config-values.ts';
import { misspelt, type MisspeltName } from './misspelt.ts';
import type { PushHosts } from './push/push-hosts.ts';
import { checkedPair, type VapidKeys } from './push/vapid.ts';
import { StartError } from './start-error.ts';

/** What each variable says, by itself. */
interface Settings {
  readonly port: number;
  readonly host: string;
  /** Where clients reach the service, without a slash at its end; `undefined` where only the request tells. */
  readonly publicUrl: URL | undefined;
  readonly database: string;
  readonly retentionDays: number;
  readonly retentionMessages: number;
  /** Whether retention goes by the clock of the start, however far that is from the newest message. */
  readonly retentionClock: 'checked' | 'trusted';
  readonly heartbeatSeconds: number;
  readonly maxStreams: number;
  readonly maxStreamsPerClient: number;
  readonly publishRate: number | undefined;
  readonly trustProxy: boolean | number | string;
  readonly logLevel: string;
  readonly authSecret: Secrets | undefined;
  readonly authSecretFile: Secrets | undefined;
  readonly authJwks: string | URL | undefined;
  readonly authIssuer: string | undefined;
  readonly authAudience: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly pushDelaySeconds: number;
  readonly pushHosts: PushHosts;
  readonly vapidPublicKey: string | undefined;
  readonly vapidPrivateKey: string | undefined;
  readonly vapidSubject: string | undefined;
}

/** The keys that tokens are checked with, and what has to be in them; at least one key. */
export interface AuthConfig {
  readonly secrets: Secrets | undefined;
  /** The path of a file, or an https URL. */
  readonly keySource: string | URL | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the operator decided; read once at the start. */
export interface Config extends Omit<
  Settings,
  | 'authSecret'
  | 'authSecretFile'
  | 'authJwks'
  | 'authIssuer'
  | 'authAudience'
  | 'vapidPublicKey'
  | 'vapidPrivateKey'
> {
  /** Connections open at once, below the limit on open files. */
  readonly maxConnections: number;
  /** Messages a second for one client; 0: no limit. */
  readonly publishRate: number;
  /** `undefined` in open mode: everybody on this machine may do everything. */
  readonly auth: AuthConfig | undefined;
  /** The key pair for notifications; `undefined` where it is kept beside the database. */
  readonly vapidKeys: VapidKeys | undefined;
  readonly vapidSubject: string;
}

/** A variable: how it is read, and what stands for it where it is not set. */
interface Variable<T> {
  readonly fallback: string;
  readonly about: string;
  /** @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME … " */
  readonly read: (text: string) => T;
  /** It has no flag, since those are seen by all on the machine (`ps`), and is never repeated. */
  readonly secret?: true;
  /** White space stands between its parts, and may stand around them. */
  readonly list?: true;
}

/** Files other than connections: the database, its log, the listener, what the process itself needs. */
const RESERVED_FILES = 64;

/** Connections that streams leave to requests. */
const RESERVED_CONNECTIONS = 192;

/** Where the system sets no limit on open files, memory is the limit: at about 20 KB a stream this is 2 GB. */
const MOST_STREAMS = 100_000;

/** Whom push services are told to write to, where nobody is named: this machine's operator, whom they do not reach. */
const NOBODY = 'mailto:tidings@localhost';

/** With tokens, a client that runs wild is to hurt itself alone. */
const KEYED_PUBLISH_RATE = 100;

function variables(
  openFiles: number,
): { [Key in keyof Settings]: Variable<Settings[Key]> } & Record<string, unknown> {
  const room = Math.max(1, Math.min(MOST_STREAMS, openFiles - RESERVED_FILES - RESERVED_CONNECTIONS));
  return {
    port: { fallback: '7070', about: 'port to listen on; 0 takes a free one', read: readInteger(0, 65_535) },
    host: { fallback: '127.0.0.1', about: 'address to listen on', read: readHost },
    publicUrl: { fallback: '', about: 'where clients reach the service', read: readPublicUrl },
    database: { fallback: 'data/tidings.sqlite', about: 'file of the log', read: readPath },
    retentionDays: {
      fallback: '0',
      about: 'how long messages are kept; 0: for ever',
      read: readInteger(0, 36_500),
    },
    retentionMessages: {
      fallback: '0',
      about: 'how many are kept for one recipient; 0: all',
      read: readInteger(0, 1_000_000_000),
    },
    retentionClock: {
      fallback: 'checked',
      about: 'trusted: the clock is right, though the newest message is of another time',
      read: readRetentionClock,
    },
    heartbeatSeconds: {
      fallback: '15',
      about: 'silence on a stream before a heartbeat',
      read: readInteger(1, 3600),
    },
    maxStreams: {
      fallback: String(room),
      about: 'streams and held polls open at once',
      read: (text) => {
        const value = readInteger(1, MOST_STREAMS)(text);
        if (value <= room) return value;
        throw new Error(
          `must be at most ${room}: this process may open ${openFiles} files; raise that limit (ulimit -n)`,
        );
      },
    },
    maxStreamsPerClient: {
      fallback: '100',
      about: 'of these for one client (with tokens)',
      read: readInteger(1, MOST_STREAMS),
    },
    publishRate: {
      fallback: '',
      about: 'messages a second for one client; 0: no limit (default with tokens 100, else 0)',
      read: (text) => (text === '' ? undefined : readInteger(0, 1_000_000)(text)),
    },
    trustProxy: {
      fallback: '',
      about: "which proxies' X-Forwarded-For is believed, as Express has it",
      read: readTrust,
      list: true,
    },
    logLevel: { fallback: 'info', about: LEVELS.join(', '), read: readLevel },
    authSecret: { fallback: '', about: 'secret of HS256 tokens', read: readSecret, secret: true },
    authSecretFile: { fallback: '', about: 'file with such secrets, one a line', read: readSecretFile },
    authJwks: {
      fallback: '',
      about: 'public keys of RS256, ES256 and EdDSA tokens: file or https URL',
      read: readKeySource,
    },
    authIssuer: { fallback: '', about: 'what "iss" of a token has to be', read: readText },
    authAudience: { fallback: '', about: 'what "aud" of a token has to be', read: readText },
    corsOrigins: {
      fallback: '',
      about: 'origins of other sites whose pages may use it',
      read: readOrigins,
      list: true,
    },
    pushDelaySeconds: {
      fallback: '10',
      about: 'how long a message is unread before its notification',
      read: readInteger(0, 3600),
    },
    pushHosts: {
      fallback: '',
      about: "hosts of push services (default: the browsers' own)",
      read: readPushHosts,
      list: true,
    },
    vapidPublicKey: { fallback: '', about: 'key pair for notifications, in place of a file', read: readText },
    vapidPrivateKey: { fallback: '', about: 'its secret half', read: readText, secret: true },
    vapidSubject: {
      fallback: '',
      about: 'whom push services can write to: mailto: or https: (default PUBLIC_URL)',
      read: readVapidSubject,
    },
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
export function readConfig(environment: Environment, args: readonly string[], openFiles: number): Config {
  const known = Object.entries(variables(openFiles)) as [string, Variable<unknown>][];
  const flags = readFlags(
    args,
    known.filter(([, { secret }]) => secret !== true).map(([key]) => flagName(key)),
  );
  const entries = known.map(([key, { fallback, read, secret, list }]) => {
    const flag = flags[flagName(key)];
    const given = flag ?? environment[variableName(key)] ?? '';
    const name = flag === undefined ? variableName(key) : `--${flagName(key)}`;
    try {
      if (list !== true) checkText(given);
      return [key, read(given === '' ? fallback : given)];
    } catch (error) {
      const what = secret === true ? '' : `, not "${given.slice(0, 100)}"`;
      throw new StartError(`${name} ${(error as Error).message}${what}.`);
    }
  });
  return Object.freeze(together(Object.fromEntries(entries) as Settings, openFiles));
}

/**
 * What the settings say together.
 *
 * @throws {StartError} where they contradict each other, or would leave open what was meant to be shut
 */
function together(settings: Settings, openFiles: number): Config {
  const { authSecret, authSecretFile, authJwks, authIssuer, authAudience, ...others } = settings;
  const { vapidPublicKey, vapidPrivateKey, ...rest } = others;
  if (authSecret !== undefined && authSecretFile !== undefined) {
    throw new StartError('AUTH_SECRET and AUTH_SECRET_FILE are both set. Set one.');
  }
  const secrets = authSecret ?? authSecretFile;
  if (authJwks !== undefined && (authIssuer === undefined || authAudience === undefined)) {
    throw new StartError(
      'AUTH_JWKS needs AUTH_ISSUER and AUTH_AUDIENCE: its issuer makes tokens for other services too.',
    );
  }
  const open = secrets === undefined && authJwks === undefined;
  if (open && (authIssuer !== undefined || authAudience !== undefined || rest.corsOrigins.length > 0)) {
    throw new StartError(
      'AUTH_ISSUER, AUTH_AUDIENCE and CORS_ORIGINS need a key: set AUTH_SECRET or AUTH_JWKS as well.',
    );
  }
  if (open && !isLoopbackAddress(rest.host)) {
    throw new StartError(
      `HOST must be loopback (127.0.0.1, ::1 or localhost) where no key is configured, not "${rest.host}": everybody may ` +
        'do everything. Set AUTH_SECRET (32 bytes or more) or AUTH_JWKS to let others in with tokens.',
    );
  }
  return {
    ...rest,
    maxConnections: Math.max(1, openFiles - RESERVED_FILES),
    publishRate: rest.publishRate ?? (open ? 0 : KEYED_PUBLISH_RATE),
    vapidKeys: checkedPair(vapidPublicKey, vapidPrivateKey),
    vapidSubject: rest.vapidSubject ?? (rest.publicUrl?.protocol === 'https:' ? rest.publicUrl.href : NOBODY),
    auth: open ? undefined : { secrets, keySource: authJwks, issuer: authIssuer, audience: authAudience },
  };
}

/** Returns the variables of an environment that are probably meant for this service, and have a name that it does not know. */
export function unknownVariables(environment: Environment): readonly MisspeltName[] {
  return misspelt(Object.keys(environment), Object.keys(variables(0)).map(variableName));
}

/** What `--help` prints. */
export function usage(openFiles: number): string {
  const rows = Object.entries(variables(openFiles)).map(([key, variable]) => {
    const { fallback, about, secret } = variable as Variable<unknown>;
    const flag = secret === true ? '' : `--${flagName(key)}`;
    return `  ${flag.padEnd(25)} ${variableName(key).padEnd(22)} ${fallback.padEnd(20)} ${about}\n`;
  });
  return `Usage: node dist/main.js [--flag value]...\n\n  flag                      variable               default\n${rows.join('')}`;
}

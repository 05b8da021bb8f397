import {
  LEVELS,
  readHost,
  readInteger,
  readKeySource,
  readLevel,
  readMaxStreams,
  readOrigins,
  readPath,
  readPublicUrl,
  readPublishRate,
  readPushHosts,
  readRetentionClock,
  readSecret,
  readSecretFile,
  readText,
  readTrust,
  readUpgradeCopy,
  readVapidSubject,
} from './config-values.ts';
import { NATS_VARIABLES } from './nats.ts';
import { MAX_STREAMS, streamsWithin } from './open-files.ts';
import type { Variable } from './variable.ts';

/** All variables. A new one is a row here: its key gives the names of variable and flag, `read` the type of its setting. */
const VARIABLES = {
  port: { fallback: '7070', about: 'port to listen on; 0 takes a free one', read: readInteger(0, 65_535) },
  host: { fallback: '127.0.0.1', about: 'address to listen on', read: readHost },
  publicUrl: { fallback: '', about: 'where clients reach the service', read: readPublicUrl },
  database: { fallback: 'data/tidings.sqlite', about: 'file of the log', read: readPath },
  retentionDays: {
    fallback: '0',
    about: 'how long messages are kept; 0: forever',
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
  upgradeCopy: {
    fallback: 'kept',
    about: 'none: no copy is kept of a database that a new version changes',
    read: readUpgradeCopy,
  },
  heartbeatSeconds: {
    fallback: '15',
    about: 'silence on a stream before a heartbeat',
    read: readInteger(1, 3600),
  },
  maxStreams: {
    fallback: (openFiles) => String(streamsWithin(openFiles)),
    about: 'streams and held polls open at once',
    read: readMaxStreams,
  },
  maxStreamsPerClient: {
    fallback: '100',
    about: 'of these for one client (with tokens)',
    read: readInteger(1, MAX_STREAMS),
  },
  publishRate: {
    fallback: '',
    about: 'messages a second for one client; 0: no limit (default with tokens 100, else 0)',
    read: readPublishRate,
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
  authIssuer: { fallback: '', about: 'what "iss" of a token must be', read: readText },
  authAudience: { fallback: '', about: 'what "aud" of a token must be', read: readText },
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
  ...NATS_VARIABLES,
} satisfies Readonly<Record<string, Variable<unknown>>>;

/** The value of each variable. */
export type Settings = {
  readonly [Key in keyof typeof VARIABLES]: ReturnType<(typeof VARIABLES)[Key]['read']>;
};

/** Returns all variables with their keys. */
export function allVariables(): [key: string, variable: Variable<unknown>][] {
  return Object.entries(VARIABLES);
}

/** Returns the text that is read if a variable is not set. */
export function fallbackOf({ fallback }: Variable<unknown>, openFiles: number): string {
  return typeof fallback === 'string' ? fallback : fallback(openFiles);
}

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
  port: { fallback: '7070', about: 'port to listen on; 0: any free port', read: readInteger(0, 65_535) },
  host: { fallback: '127.0.0.1', about: 'address to listen on', read: readHost },
  publicUrl: { fallback: '', about: 'URL at which clients reach the service', read: readPublicUrl },
  database: { fallback: 'data/tidings.sqlite', about: 'file of the database', read: readPath },
  retentionDays: {
    fallback: '0',
    about: 'days that messages are kept; 0: forever',
    read: readInteger(0, 36_500),
  },
  retentionMessages: {
    fallback: '0',
    about: 'messages that are kept for each recipient; 0: all',
    read: readInteger(0, 1_000_000_000),
  },
  retentionClock: {
    fallback: 'checked',
    about: 'checked or trusted; trusted: the clock is right even if it is far from the newest message',
    read: readRetentionClock,
  },
  upgradeCopy: {
    fallback: 'kept',
    about: 'kept or none: whether a copy of the database is kept before a new version changes it',
    read: readUpgradeCopy,
  },
  heartbeatSeconds: {
    fallback: '15',
    about: 'seconds of silence on a stream before a heartbeat',
    read: readInteger(1, 3600),
  },
  maxStreams: {
    fallback: (openFiles) => String(streamsWithin(openFiles)),
    about: 'streams and held polls open at once',
    read: readMaxStreams,
  },
  maxStreamsPerClient: {
    fallback: '100',
    about: 'streams and held polls open at once for one client (with tokens)',
    read: readInteger(1, MAX_STREAMS),
  },
  publishRate: {
    fallback: '',
    about: 'messages a second for one client; 0: no limit (default: 100 with tokens, else 0)',
    read: readPublishRate,
  },
  trustProxy: {
    fallback: '',
    about: "proxies whose X-Forwarded-For is trusted, as in Express's setting",
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
  authIssuer: { fallback: '', about: 'the "iss" that tokens must have', read: readText },
  authAudience: { fallback: '', about: 'the "aud" that tokens must have', read: readText },
  corsOrigins: {
    fallback: '',
    about: 'origins of other sites whose pages may use the service',
    read: readOrigins,
    list: true,
  },
  pushDelaySeconds: {
    fallback: '10',
    about: 'seconds that a message is unread before its notification',
    read: readInteger(0, 3600),
  },
  pushHosts: {
    fallback: '',
    about: "hosts of push services (default: the browsers' own)",
    read: readPushHosts,
    list: true,
  },
  vapidPublicKey: { fallback: '', about: 'public key for notifications, instead of a file', read: readText },
  vapidPrivateKey: { fallback: '', about: 'private key for notifications', read: readText, secret: true },
  vapidSubject: {
    fallback: '',
    about: 'contact for push services: mailto: or https: (default: PUBLIC_URL)',
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

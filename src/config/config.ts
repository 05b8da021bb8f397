import type { Secrets } from '../auth/secret-keys.ts';
import { checkText } from '../clean-text.ts';
import { misspelt, type MisspeltName } from '../misspelt.ts';
import { checkedPair, type VapidKeys } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { isLoopbackAddress, readFlags } from './config-values.ts';
import { combineNats, type NatsConfig, type NatsSettings } from './nats.ts';
import { connectionsWithin } from './open-files.ts';
import { flagName, variableName } from './variable.ts';
import { allVariables, fallbackOf, type Settings } from './variables.ts';

/** The keys that tokens are checked with, and the claims that they must have; there is at least one key. */
export interface AuthConfig {
  readonly secrets: Secrets | undefined;
  /** The path of a file, or an https URL. */
  readonly keySource: string | URL | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

/** Environment variables by their names. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The operator's decisions, read once at the start. */
export interface Config extends Omit<
  Settings,
  | 'authSecret'
  | 'authSecretFile'
  | 'authJwks'
  | 'authIssuer'
  | 'authAudience'
  | 'vapidPublicKey'
  | 'vapidPrivateKey'
  | keyof NatsSettings
> {
  /** The prefix of this service's paths, as clients see them: empty, or `/…` without a slash at the end. */
  readonly basePath: string;
  /** Connections open at once, below the limit on open files. */
  readonly maxConnections: number;
  /** Messages a second for one client; 0: no limit. */
  readonly publishRate: number;
  /** `undefined` in open mode: everybody on this machine may do everything. */
  readonly auth: AuthConfig | undefined;
  /** The key pair for notifications; `undefined` if it is kept beside the database. */
  readonly vapidKeys: VapidKeys | undefined;
  readonly vapidSubject: string;
  /** `undefined` if this is the only node. */
  readonly nats: NatsConfig | undefined;
}

/** The contact for push services if none is configured. Nobody can be reached there. */
const NOBODY = 'mailto:tidings@localhost';

/** With tokens, a client that publishes endlessly must harm only itself. */
const KEYED_PUBLISH_RATE = 100;

/**
 * Reads the configuration. A flag takes precedence over its environment variable, and that over the default. An empty
 * value counts as not set.
 *
 * @param args the command line after the program's name
 * @param openFiles how many files this process may open
 * @throws {StartError} that names the variable or flag, and its rule
 */
export function readConfig(environment: Environment, args: readonly string[], openFiles: number): Config {
  const names = allVariables().filter(([, { secret }]) => secret !== true);
  const flags = readFlags(
    args,
    names.map(([key]) => flagName(key)),
  );
  const keys = allVariables().map(([key]) => key as keyof Settings);
  return Object.freeze(combine(readSettings(environment, flags, keys, openFiles), openFiles));
}

/**
 * Reads some of the settings, for a command that does not need the others.
 *
 * @param flags the values of flags that were given, by their names
 * @throws {StartError} that names the variable or flag, and its rule
 */
export function readSettings<Key extends keyof Settings>(
  environment: Environment,
  flags: Environment,
  keys: readonly Key[],
  openFiles = Infinity,
): Pick<Settings, Key> {
  const wanted = allVariables().filter(([key]) => (keys as readonly string[]).includes(key));
  const entries = wanted.map(([key, variable]) => {
    const { read, secret, unrepeated, list } = variable;
    const flag = flags[flagName(key)];
    const given = flag ?? environment[variableName(key)] ?? '';
    const name = flag === undefined ? variableName(key) : `--${flagName(key)}`;
    try {
      if (list !== true) checkText(given);
      return [key, read(given === '' ? fallbackOf(variable, openFiles) : given, openFiles)];
    } catch (error) {
      const what = secret === true || unrepeated === true ? '' : `, not "${given.slice(0, 100)}"`;
      throw new StartError(`${name} ${(error as Error).message}${what}.`);
    }
  });
  return Object.fromEntries(entries) as Pick<Settings, Key>;
}

/**
 * Combines the settings into decisions.
 *
 * @throws {StartError} if they contradict each other, or would let other machines in although no key is configured
 */
function combine(settings: Settings, openFiles: number): Config {
  const { nats, others } = combineNats(settings);
  const { authSecret, authSecretFile, authJwks, authIssuer, authAudience, ...withKeys } = others;
  const { vapidPublicKey, vapidPrivateKey, ...rest } = withKeys;
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
      `HOST must be loopback (127.0.0.1, ::1 or localhost) if no key is configured, not "${rest.host}": everybody may ` +
        'do everything. Set AUTH_SECRET (32 bytes or more) or AUTH_JWKS to let others in with tokens.',
    );
  }
  return {
    ...rest,
    basePath: (rest.publicUrl?.pathname ?? '').replace(/\/$/, ''),
    maxConnections: connectionsWithin(openFiles),
    publishRate: rest.publishRate ?? (open ? 0 : KEYED_PUBLISH_RATE),
    vapidKeys: checkedPair(vapidPublicKey, vapidPrivateKey),
    vapidSubject: rest.vapidSubject ?? (rest.publicUrl?.protocol === 'https:' ? rest.publicUrl.href : NOBODY),
    nats,
    auth: open ? undefined : { secrets, keySource: authJwks, issuer: authIssuer, audience: authAudience },
  };
}

/** Returns the variables of an environment that are probably misspelt names of variables of this service. */
export function unknownVariables(environment: Environment): readonly MisspeltName[] {
  const known = allVariables().map(([key]) => variableName(key));
  return misspelt(Object.keys(environment), known);
}

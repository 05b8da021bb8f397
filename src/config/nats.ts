/** The variables of NATS, which gives several nodes one order of messages. Without `NATS_URL` there is one node. */
import { hostname } from 'node:os';
import { StartError } from '../start-error.ts';
import { readPath, readText } from './config-values.ts';
import { readNatsUrl, type NatsServer, type UrlSignIn } from './nats-url.ts';
import { type Variable, variableName } from './variable.ts';

/** How this node reaches NATS, and its name there. Files are only named here: they are read when connecting. */
export interface NatsConfig {
  /** At least one. */
  readonly servers: readonly NatsServer[];
  /** `undefined` if connections need no TLS. They still use it if a server offers it. */
  readonly tls: NatsTls | undefined;
  /** `undefined` if NATS asks for nothing, or only for a certificate. */
  readonly signIn: NatsSignIn | undefined;
  /** The prefix of the names of stream, subjects and buckets. */
  readonly stream: string;
  /** For people only. */
  readonly nodeName: string;
  /** The monitoring ports of the servers, without a slash at the end; may be empty. */
  readonly monitorUrls: readonly string[];
}

/** Files in PEM. The certificate and its key are given together. */
interface NatsTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** One way to sign in. Its variable is named in errors. */
export type NatsSignIn =
  | { readonly variable: 'NATS_CREDS' | 'NATS_NKEY'; readonly file: string }
  | { readonly variable: 'NATS_USER' | 'NATS_URL'; readonly user: string; readonly password: Secret }
  | { readonly variable: 'NATS_TOKEN' | 'NATS_URL'; readonly token: Secret };

/** A secret, or the file that has it. */
export type Secret = { readonly text: string } | { readonly file: string };

/** It becomes a part of the names of streams, subjects and buckets. */
const DEFAULT_STREAM = 'tidings';

/** Together with a port, a host name of this length is as long as `NODE_NAME` may be. */
const MAX_HOST_NAME = 58;

/** A NATS seed (base32), a token (base64url of JSON) or a block of PEM. People set these instead of the path of the file. */
const CONTENT = /^S[A-Z][A-Z2-7]{56}$|^eyJ|^-----|\n/;

export const NATS_VARIABLES = {
  natsUrl: {
    fallback: '',
    about: 'NATS servers, which give several nodes one order of messages',
    read: readNatsUrl,
    secret: true,
    list: true,
  },
  natsCreds: fileVariable('file of credentials for NATS: a JWT and a seed'),
  natsNkey: fileVariable('file with the seed of an nkey for NATS'),
  natsUser: { fallback: '', about: 'user of NATS', read: readText },
  natsPassword: { fallback: '', about: 'password of that user', read: readText, secret: true },
  natsPasswordFile: fileVariable('file with that password'),
  natsToken: { fallback: '', about: 'token for NATS', read: readText, secret: true },
  natsTokenFile: fileVariable('file with that token'),
  natsCa: fileVariable('file with the certificate authority of NATS'),
  natsCert: fileVariable("file with this node's certificate for NATS"),
  natsKey: fileVariable('file with the key of that certificate'),
  natsStream: {
    fallback: DEFAULT_STREAM,
    about: 'prefix of all names in NATS; it must differ for each service that shares the servers',
    read: readStream,
  },
  natsMonitorUrl: {
    fallback: '',
    about: 'http URLs of the monitoring ports of NATS, to check that it flushes to disk',
    read: readMonitorUrls,
    list: true,
    unrepeated: true,
  },
  nodeName: {
    fallback: '',
    about: 'name of this node, for people (default: host name and port)',
    read: readNodeName,
  },
} satisfies Readonly<Record<string, Variable<unknown>>>;

/** The value of each variable of NATS. */
export type NatsSettings = {
  readonly [Key in keyof typeof NATS_VARIABLES]: ReturnType<(typeof NATS_VARIABLES)[Key]['read']>;
};

/** The variables by which a node signs in. */
type Access = Pick<
  NatsSettings,
  'natsCreds' | 'natsNkey' | 'natsUser' | 'natsPassword' | 'natsPasswordFile' | 'natsToken' | 'natsTokenFile'
>;

/**
 * Combines the settings of NATS into decisions.
 *
 * @param settings all settings of the service; the port is part of the name of a node that has none
 * @returns `nats`: `undefined` without `NATS_URL`; `others`: all other settings
 * @throws {StartError} if they contradict each other, or have no effect without `NATS_URL`
 */
export function combineNats<S extends NatsSettings & { readonly port: number }>(
  settings: S,
): { nats: NatsConfig | undefined; others: Omit<S, keyof NatsSettings> } {
  const {
    natsUrl,
    natsCreds,
    natsNkey,
    natsUser,
    natsPassword,
    natsPasswordFile,
    natsToken,
    natsTokenFile,
    natsCa,
    natsCert,
    natsKey,
    natsStream,
    nodeName,
    natsMonitorUrl,
    ...others
  } = settings;
  const tls = { ca: natsCa, cert: natsCert, key: natsKey };
  const access = { natsCreds, natsNkey, natsUser, natsPassword, natsPasswordFile, natsToken, natsTokenFile };
  if (natsUrl === undefined) {
    const stream = natsStream === DEFAULT_STREAM ? undefined : natsStream;
    const [monitorUrl] = natsMonitorUrl;
    const given = { ...access, natsCa, natsCert, natsKey, natsStream: stream, natsMonitorUrl: monitorUrl };
    const [extra] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
    if (extra === undefined) return { nats: undefined, others };
    const name = variableName(extra);
    throw new StartError(
      `${name} is set without NATS_URL: set NATS_URL for several nodes, or unset ${name}.`,
    );
  }
  if ((natsCert === undefined) !== (natsKey === undefined)) {
    throw new StartError('NATS_CERT and NATS_KEY need each other: set both or none.');
  }
  const nats = {
    servers: natsUrl.servers,
    tls: natsUrl.tls || natsCa !== undefined || natsCert !== undefined ? tls : undefined,
    signIn: signInOf(access, natsUrl.signIn),
    stream: natsStream,
    nodeName: nodeName ?? `${hostname().slice(0, MAX_HOST_NAME)}:${settings.port}`,
    monitorUrls: natsMonitorUrl,
  };
  return { nats, others };
}

/** Returns the one way to sign in, if there is any. @throws {StartError} if there are two, or one is incomplete */
function signInOf(settings: Access, fromUrl: UrlSignIn | undefined): NatsSignIn | undefined {
  const { natsCreds, natsNkey, natsUser } = settings;
  const password = oneOf('NATS_PASSWORD', settings.natsPassword, settings.natsPasswordFile);
  const token = oneOf('NATS_TOKEN', settings.natsToken, settings.natsTokenFile);
  if (natsUser === undefined && password !== undefined) {
    throw new StartError('NATS_PASSWORD and NATS_PASSWORD_FILE need NATS_USER: set it as well.');
  }
  const ways: NatsSignIn[] = [];
  if (fromUrl !== undefined) ways.push(signInOfUrl(fromUrl));
  if (natsCreds !== undefined) ways.push({ variable: 'NATS_CREDS', file: natsCreds });
  if (natsNkey !== undefined) ways.push({ variable: 'NATS_NKEY', file: natsNkey });
  if (natsUser !== undefined) {
    if (password === undefined) {
      throw new StartError('NATS_USER needs NATS_PASSWORD or NATS_PASSWORD_FILE: set one as well.');
    }
    ways.push({ variable: 'NATS_USER', user: natsUser, password });
  }
  if (token !== undefined) ways.push({ variable: 'NATS_TOKEN', token });
  const [way, second] = ways;
  if (way === undefined || second === undefined) return way;
  const first = way.variable === 'NATS_URL' ? 'The user or token in NATS_URL' : way.variable;
  throw new StartError(`${first} and ${second.variable} are two ways to sign in to NATS. Set one.`);
}

function signInOfUrl(signIn: UrlSignIn): NatsSignIn {
  const variable = 'NATS_URL';
  if ('token' in signIn) return { variable, token: { text: signIn.token } };
  return { variable, user: signIn.user, password: { text: signIn.password } };
}

/** Returns a secret from a variable, or from the file that another one names. @throws {StartError} if both are set */
function oneOf(name: string, text: string | undefined, file: string | undefined): Secret | undefined {
  if (text !== undefined && file !== undefined) {
    throw new StartError(`${name} and ${name}_FILE are both set. Set one.`);
  }
  if (text !== undefined) return { text };
  return file === undefined ? undefined : { file };
}

/** Returns a variable that names a file. The file is read when connecting. */
function fileVariable(about: string) {
  return { fallback: '', about, read: readFilePath, unrepeated: true } as const;
}

function readFilePath(text: string): string | undefined {
  if (CONTENT.test(text)) throw new Error('must be the path of a file, not its content');
  return text === '' ? undefined : readPath(text);
}

function readStream(text: string): string {
  if (/^[A-Za-z0-9_-]{1,32}$/.test(text)) return text;
  throw new Error(
    'must be 1 to 32 characters from A-Z, a-z, 0-9, "-" and "_": it begins the names of streams and buckets',
  );
}

function readNodeName(text: string): string | undefined {
  if (text === '') return undefined;
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,64}$/u.test(text)) return text;
  throw new Error('must have at most 64 printable characters');
}

function readMonitorUrls(text: string): readonly string[] {
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  return parts.map((part) => {
    const url = URL.canParse(part) ? new URL(part) : undefined;
    if (url !== undefined && url.username + url.password !== '') {
      throw new Error('must not have a user or a password: monitoring ports ask for none');
    }
    if (url !== undefined && /^https?:$/.test(url.protocol) && url.search + url.hash === '') {
      return url.href.replace(/\/+$/, '');
    }
    throw new Error('must be a list of http URLs of monitoring ports, such as http://a.example:8222');
  });
}

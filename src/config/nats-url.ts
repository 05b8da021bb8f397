import { isIP } from 'node:net';

/** A server of NATS. An IPv6 address has no brackets. */
export interface NatsServer {
  readonly host: string;
  readonly port: number;
}

/** The value of `NATS_URL`. */
export interface NatsUrl {
  /** At least one, each once. */
  readonly servers: readonly NatsServer[];
  /** Whether the scheme is `tls`. */
  readonly tls: boolean;
  /** A user with a password, or a token; `undefined` if no URL has any. */
  readonly signIn: UrlSignIn | undefined;
}

/** The part of a URL before the "@". */
export type UrlSignIn = { readonly user: string; readonly password: string } | { readonly token: string };

const DEFAULT_PORT = 4222;

/** The scheme, the part before the last "@", the host and the port. */
const SERVER = /^(nats|tls):\/\/(?:([^/?#]*)@)?(\[[^\]%]*\]|[^:/?#[\]]*)(?::(\d{1,5}))?\/?$/i;

/** Docker allows "_" in the names of containers. */
const HOST_NAME = /^(?![\d.]+$)[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?$/i;

const FORM =
  'must be nats:// or tls:// with a host, and a port unless it is 4222, such as nats://a.example:4222';
const ENCODING =
  'in a user, a password or a token, write : / ? # @ , % and white space as %3A %2F %3F %23 %40 %2C %25 and %20';

/**
 * Reads NATS servers, separated by commas or white space. The NATS client accepts neither a list nor a user in a URL.
 *
 * @returns `undefined` if the text is empty
 * @throws {Error} with the rule that the text breaks, as the end of the sentence "NATS_URL …". It names a server by its
 *   place in the list, and repeats nothing of the text, which may have a password
 */
export function readNatsUrl(text: string): NatsUrl | undefined {
  if (text === '') return undefined;
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  if (parts.length === 0) throw new Error(`${FORM}: it names no server`);
  const read = parts.map((part, index) => {
    try {
      return readServer(part);
    } catch (error) {
      const place = parts.length === 1 ? '' : `; see server ${index + 1} of the list`;
      const hint = text.includes('@') ? `; ${ENCODING}` : '';
      throw new Error(`${(error as Error).message}${place}${hint}`, { cause: error });
    }
  });
  if (new Set(read.map(({ tls }) => tls)).size > 1) {
    throw new Error('must have one scheme for all servers, nats:// or tls://');
  }
  const signIns = new Map<string, UrlSignIn>();
  for (const { signIn } of read) if (signIn !== undefined) signIns.set(JSON.stringify(signIn), signIn);
  if (signIns.size > 1) {
    throw new Error('must have one user and password, or token, for all servers: once in the list is enough');
  }
  const servers = new Map(read.map(({ server }) => [addressOf(server), server]));
  const [signIn] = signIns.values();
  return { servers: [...servers.values()], tls: read[0]?.tls === true, signIn };
}

/** Returns a server as `host:port`, for the client of NATS and for people. */
export function addressOf({ host, port }: NatsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

interface Read {
  readonly server: NatsServer;
  readonly tls: boolean;
  readonly signIn: UrlSignIn | undefined;
}

function readServer(text: string): Read {
  const [, scheme, userInfo, hostText = '', portText] = SERVER.exec(text) ?? [];
  if (scheme === undefined) throw new Error(FORM);
  const host = hostText.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const isAddress = isIP(host) === (hostText.startsWith('[') ? 6 : 4);
  if (!isAddress && !HOST_NAME.test(hostText)) throw new Error(FORM);
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (port < 1 || port > 65_535) throw new Error('must have a port from 1 to 65535');
  const signIn = userInfo === undefined ? undefined : readSignIn(userInfo);
  return { server: { host, port }, tls: scheme.toLowerCase() === 'tls', signIn };
}

function readSignIn(userInfo: string): UrlSignIn {
  const [first = '', ...rest] = userInfo.split(':').map(decode);
  const [password] = rest;
  if (first === '' || rest.length > 1 || password === '') {
    throw new Error('must have user:password or a token before the "@"');
  }
  return password === undefined ? { token: first } : { user: first, password };
}

/** Decodes percent-encoding. @throws {Error} if the result is not text */
function decode(text: string): string {
  let decoded = '\uFFFD';
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // Refused below.
  }
  if (!/[\p{Cc}\uFFFD]/u.test(decoded)) return decoded;
  throw new Error('must have a user, password or token in percent-encoded UTF-8');
}

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Authenticator } from '@nats-io/transport-node';
import type { NatsSignIn } from '../config/nats.ts';
import type { NatsServer } from '../config/nats-url.ts';
import type { TlsFiles } from './tls.ts';

/** The options of a probe. */
export interface ProbeOptions {
  readonly tls: TlsFiles | undefined;
  readonly authenticator: Authenticator;
  readonly signIn: NatsSignIn | undefined;
  /** The time after which the probe gives up if the server has not answered. */
  readonly milliseconds: number;
}

/** The maximum length of the server's first lines: more than they need. */
const MAX_LENGTH = 64 * 1024;

/** The maximum length of a quotation from the server. */
const MAX_QUOTED = 100;

/** The first line of a server, in which it describes itself. */
interface Info {
  readonly nonce?: string;
  readonly tls_required?: boolean;
  readonly tls_available?: boolean;
}

type Stage = 'connecting' | 'greeting' | 'tls' | 'signing in';

/** The meaning of silence in each stage. */
const SILENCES: Readonly<Record<Stage, string>> = {
  connecting: 'does not answer',
  greeting: 'accepts connections but says nothing: is this its port for clients?',
  tls: 'does not complete the TLS handshake',
  'signing in': 'does not answer the sign-in',
};

/**
 * Goes through the first steps of a connection to a server, to find out why it fails. The client of NATS reports only
 * the reason of the last server that it tried, and reports some reasons as a timeout.
 *
 * @returns a phrase that follows the name of the server; `undefined` if the server accepts this client. Never rejects
 */
export function faultOf(server: NatsServer, options: ProbeOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = new Probe(server, options, resolve);
    probe.start();
  });
}

class Probe {
  readonly #server: NatsServer;
  readonly #options: ProbeOptions;
  readonly #resolve: (fault: string | undefined) => void;
  #stage: Stage = 'connecting';
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #text = '';

  constructor(server: NatsServer, options: ProbeOptions, resolve: (fault: string | undefined) => void) {
    this.#server = server;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    this.#timer = setTimeout(() => this.#end(SILENCES[this.#stage]), this.#options.milliseconds);
    const socket = connect(this.#server);
    socket.on('connect', () => (this.#stage = 'greeting'));
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (error) => this.#end(this.#wordsOf(error)));
    socket.on('close', () => this.#end(`closes the connection (while ${this.#stage})`));
    socket.on('data', (bytes: Buffer) => this.#take(bytes.toString('latin1')));
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\r\n'); end !== -1; end = this.#text.indexOf('\r\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#read(line);
    }
    if (this.#text.length > MAX_LENGTH) this.#end('does not speak the protocol of NATS');
  }

  #read(line: string): void {
    const [, refusal] = /^-ERR\s+'?(.*?)'?\s*$/i.exec(line) ?? [];
    if (refusal !== undefined) this.#end(this.#refusalWords(refusal));
    else if (this.#stage === 'greeting') this.#greet(line);
    else if (/^PONG\b/i.test(line)) this.#end(undefined);
  }

  #greet(line: string): void {
    const info = infoIn(line);
    const { tls } = this.#options;
    if (info === undefined) {
      this.#end('does not speak the protocol of NATS: is this its port for clients?');
    } else if (info.tls_required === true || info.tls_available === true) {
      this.#secure(info);
    } else if (tls !== undefined) {
      this.#end('does not offer TLS: write nats:// without NATS_CA and NATS_CERT, or configure TLS there');
    } else {
      this.#signIn(info);
    }
  }

  #secure(info: Info): void {
    const { host } = this.#server;
    const raw = this.#socket;
    if (raw === undefined) return;
    this.#stage = 'tls';
    // The TLS connection on top of it reports its end.
    raw.removeAllListeners();
    raw.on('error', () => undefined);
    try {
      const servername = isIP(host) === 0 ? host : '';
      const secure = connectTls({ socket: raw, servername, ...this.#options.tls });
      secure.once('secureConnect', () => this.#signIn(info));
      this.#listen(secure);
    } catch (error) {
      this.#end(this.#wordsOf(error as Error));
    }
  }

  #signIn({ nonce }: Info): void {
    this.#stage = 'signing in';
    const { authenticator, tls } = this.#options;
    const client = { verbose: false, pedantic: false, lang: 'nats.js', version: '3', protocol: 1 };
    const hello = { ...client, name: 'tidings', tls_required: tls !== undefined, ...authenticator(nonce) };
    this.#socket?.write(`CONNECT ${JSON.stringify(hello)}\r\nPING\r\n`);
  }

  #end(fault: string | undefined): void {
    clearTimeout(this.#timer);
    this.#socket?.removeAllListeners().on('error', () => undefined);
    this.#socket?.destroy();
    this.#resolve(fault);
  }

  #wordsOf(error: NodeJS.ErrnoException): string {
    const code = error.code ?? '';
    if (code === 'ECONNREFUSED') return 'refuses connections: does a server run there?';
    if (code === 'ENOTFOUND') return 'is a name that has no address (ENOTFOUND)';
    if (code === 'EAI_AGAIN') return 'is a name that cannot be looked up now (EAI_AGAIN)';
    if (code === 'ETIMEDOUT') return SILENCES.connecting;
    if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `cannot be reached from here (${code})`;
    // With TLS 1.3 a server refuses a client's certificate after the handshake.
    if (this.#stage === 'tls' || code.startsWith('ERR_SSL')) return this.#tlsWordsOf(error, code);
    return `closes the connection (${code || error.message})`;
  }

  #tlsWordsOf(error: Error, code: string): string {
    const { tls } = this.#options;
    const why = code || error.message.slice(0, MAX_QUOTED);
    if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
      return `has a certificate that is not valid now (${code}): renew it, or set the clock`;
    }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return 'has a certificate for other names than the hosts in NATS_URL';
    }
    if (/SELF_SIGNED|ISSUER|LEAF_SIGNATURE|UNTRUSTED/.test(code)) {
      const change = tls?.ca === undefined ? 'set NATS_CA' : 'NATS_CA must have that authority';
      return `has a certificate of an unknown authority (${code}): ${change}`;
    }
    if (code.includes('ALERT') && /CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED/.test(code)) {
      if (tls?.cert === undefined)
        return `asks for a client certificate (${code}): set NATS_CERT and NATS_KEY`;
      return `does not accept the certificate in NATS_CERT (${code})`;
    }
    return `does not complete the TLS handshake (${why})`;
  }

  #refusalWords(refusal: string): string {
    const { signIn } = this.#options;
    const quoted = refusal.replaceAll(/\p{Cc}/gu, ' ').slice(0, MAX_QUOTED);
    if (!/authorization violation/i.test(refusal)) return `answers "${quoted}"`;
    if (signIn === undefined) {
      return 'asks to sign in: set NATS_CREDS, NATS_NKEY, NATS_USER or NATS_TOKEN, or a user in NATS_URL';
    }
    if (signIn.variable === 'NATS_USER') return 'does not accept NATS_USER with its password';
    if (signIn.variable === 'NATS_URL') return 'does not accept the user or token in NATS_URL';
    return `does not accept ${signIn.variable}`;
  }
}

function infoIn(line: string): Info | undefined {
  const [, json] = /^INFO\s+(\{.*\})\s*$/i.exec(line) ?? [];
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json) as Info;
  } catch {
    return undefined;
  }
}

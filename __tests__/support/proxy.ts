/** The proxies of `deploy` with their configurations, by https on ports of their own, before a server of the tests. */
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from '@jest/globals';
import { type Certificate, selfSigned } from './certificate.ts';
import { newFolder, Server, undoAtEnd } from './server.ts';
import { SECRET } from './tokens.ts';
import { until } from './until.ts';

/** The place in which a test uses a configuration, instead of the one that it is written for. */
interface Place {
  readonly folder: string;
  readonly service: number;
  readonly port: number;
  readonly plainPort: number;
  readonly certificate: string;
  readonly key: string;
}

/** A program, and how its configuration of `deploy` is run in the foreground, with all files in a folder of the tests. */
interface Program {
  readonly file: string;
  readonly configuration: string;
  /** Texts of the configuration, and those that replace them in a test. */
  replacements(place: Place): readonly (readonly [said: string, here: string])[];
  arguments(folder: string): readonly string[];
  /** Its log of requests, if that is not its standard output. */
  readonly accessLog?: string;
  /** Files around the configuration. */
  readonly around?: (folder: string) => Readonly<Record<string, string>>;
  /** How it is ended; by default killed. */
  readonly signal?: NodeJS.Signals;
}

const DEPLOY = join(import.meta.dirname, '../../deploy');

/** An ordinary user of Debian does not look for programs in /usr/sbin. */
const path = (program: string): string =>
  existsSync(`/usr/sbin/${program}`) ? `/usr/sbin/${program}` : program;

const main = (folder: string): string => `
  ${process.getuid?.() === 0 ? 'user root;' : ''}
  daemon off;
  pid ${folder}/pid;
  error_log ${folder}/error.log;
  events {}
  http {
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
    include ${folder}/tidings.conf;
  }
`;

const PROGRAMS = {
  nginx: {
    file: path('nginx'),
    configuration: 'nginx/tidings.conf',
    accessLog: 'access.log',
    around: (folder) => ({ 'nginx.conf': main(folder) }),
    arguments: (folder) => ['-p', folder, '-c', join(folder, 'nginx.conf')],
    // It ends its workers as well.
    signal: 'SIGTERM',
    replacements: ({ folder, service, port, plainPort, certificate, key }) => [
      ['server 127.0.0.1:7070;', `server 127.0.0.1:${service};`],
      ['listen 80;', `listen 127.0.0.1:${plainPort};`],
      ['listen [::]:80;', ''],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['listen [::]:443 ssl http2;', ''],
      ['/var/log/nginx/tidings.log', join(folder, 'access.log')],
      ['/etc/letsencrypt/live/push.example.org/fullchain.pem', certificate],
      ['/etc/letsencrypt/live/push.example.org/privkey.pem', key],
      ['server_name push.example.org;', 'server_name localhost;'],
    ],
  },
  caddy: {
    file: path('caddy'),
    configuration: 'caddy/Caddyfile',
    accessLog: 'access.log',
    arguments: (folder) => ['run', '--config', join(folder, 'Caddyfile')],
    replacements: ({ folder, service, port, plainPort, certificate, key }) => [
      ['reverse_proxy 127.0.0.1:7070 {', `reverse_proxy 127.0.0.1:${service} {`],
      [
        'skip_install_trust\n',
        `skip_install_trust\nadmin off\ndefault_bind 127.0.0.1\nhttp_port ${plainPort}\nhttps_port ${port}\n`,
      ],
      ['push.example.org {', `localhost {\ntls ${certificate} ${key}`],
      ['/var/log/caddy/tidings.log', join(folder, 'access.log')],
    ],
  },
  haproxy: {
    file: path('haproxy'),
    configuration: 'haproxy/haproxy.cfg',
    arguments: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
    replacements: ({ folder, service, port, plainPort }) => [
      ['log /dev/log local0', 'log stdout format raw local0'],
      ['chroot /var/lib/haproxy', ''],
      ['user haproxy', ''],
      ['group haproxy', ''],
      ['maxconn 24000', 'maxconn 1000'],
      ['bind :::80 v4v6', `bind 127.0.0.1:${plainPort}`],
      ['bind :::443 v4v6', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/push.example.org.pem', join(folder, 'both.pem')],
      ['prefix https://push.example.org ', `prefix https://localhost:${port} `],
      ['server tidings 127.0.0.1:7070', `server tidings 127.0.0.1:${service}`],
    ],
  },
} satisfies Record<string, Program>;

export type ProxyName = keyof typeof PROGRAMS;

const PROXIES = Object.keys(PROGRAMS) as ProxyName[];

/** The file of `deploy`, as it is. */
export const configurationOf = (name: ProxyName): string =>
  readFileSync(join(DEPLOY, PROGRAMS[name].configuration), 'utf8');

/** The proxies that are installed, and in CI all of them. */
export const installed = PROXIES.filter((name) => {
  const has = spawnSync(PROGRAMS[name].file, ['-v']).error === undefined || process.env['CI'] === 'true';
  if (!has) process.stderr.write(`Tests with ${name} are skipped (apt-get install ${name}).\n`);
  return has;
});

/** A test that needs a proxy. */
export const proxyTest = (...names: readonly ProxyName[]): typeof test | typeof test.skip =>
  names.every((name) => installed.includes(name)) ? test : test.skip;

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

/** A service with a key, which is told of the proxies before it as their configurations want it. */
export interface Proxied {
  readonly proxies: readonly Proxy[];
  /** The environment in which the service was started. */
  readonly env: Readonly<Record<string, string>>;
  readonly server: Server;
}

export class Proxy {
  readonly name: ProxyName;
  /** `https://localhost:PORT` */
  readonly url: string;
  /** `http://localhost:PORT` */
  readonly plainUrl: string;
  /** Vouches for it: in a file, and as text. */
  readonly ca: Certificate;
  readonly #folder = newFolder();
  readonly #port: number;
  readonly #plainPort: number;
  #stdout = '';

  private constructor(name: ProxyName, ca: Certificate, port: number, plainPort: number) {
    this.name = name;
    this.ca = ca;
    this.#port = port;
    this.#plainPort = plainPort;
    this.url = `https://localhost:${port}`;
    this.plainUrl = `http://localhost:${plainPort}`;
  }

  /** Returns the log of the finished requests. */
  get accessLog(): string {
    const { accessLog }: Program = PROGRAMS[this.name];
    if (accessLog === undefined) return this.#stdout;
    const file = join(this.#folder, accessLog);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Starts a service, and proxies before it, each by itself. */
  static async start(...names: readonly ProxyName[]): Promise<Proxied> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ca = selfSigned(privateKey);
    const proxies: Proxy[] = [];
    for (const name of names) proxies.push(new Proxy(name, ca, await freePort(), await freePort()));
    const urls = proxies.map(({ url }) => url);
    const env = {
      AUTH_SECRET: SECRET,
      PUBLIC_URL: urls[0] ?? '',
      CORS_ORIGINS: urls.join(','),
      TRUST_PROXY: 'loopback',
      LOG_LEVEL: 'debug',
      PUBLISH_RATE: '0',
    };
    const server = await Server.start({ env });
    await Promise.all(proxies.map((proxy) => proxy.#start(server.port)));
    return { proxies, env, server };
  }

  async #start(service: number): Promise<void> {
    const folder = this.#folder;
    const program: Program = PROGRAMS[this.name];
    const [certificate, key] = [this.ca.file, join(dirname(this.ca.file), 'key.pem')];
    const place = { folder, service, port: this.#port, plainPort: this.#plainPort, certificate, key };
    let configuration = configurationOf(this.name);
    for (const [said, here] of program.replacements(place)) {
      if (!configuration.includes(said)) throw new Error(`the configuration of ${this.name} has no ${said}`);
      configuration = configuration.replaceAll(said, here);
    }
    const files = {
      [program.configuration.replace(/^.*\//, '')]: configuration,
      'both.pem': readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'),
      ...program.around?.(folder),
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const child = spawn(program.file, program.arguments(folder), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    undoAtEnd(() => child.kill(program.signal ?? 'SIGKILL'));
    await until(() => child.exitCode !== null || listens(this.#port), `${this.name} to listen`);
    if (child.exitCode !== null) throw new Error(`${this.name} ended: ${said}`);
  }
}

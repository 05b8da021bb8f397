/** nginx with the configuration of `deploy`, by https on a port of its own, before a server of the tests. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { selfSigned } from './certificate.ts';
import { newFolder, Server, undoAtEnd } from './server.ts';
import { SECRET } from './tokens.ts';
import { testWithTool } from './tool.ts';
import { until } from './until.ts';

// Not where an ordinary user of Debian looks for programs.
const NGINX = existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx';

/** A test that needs nginx. */
export const nginxTest = testWithTool(NGINX, 'nginx');

/** The file of `deploy`, as it is. */
export const CONFIGURATION = readFileSync(
  join(import.meta.dirname, '../../deploy/nginx/tidings.conf'),
  'utf8',
);

/** What stands around it: in the foreground, and with all files in a folder of the tests. */
const main = (folder: string): string => `
  daemon off;
  pid ${folder}/pid;
  error_log ${folder}/error.log;
  events {}
  http {
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
    include ${folder}/tidings.conf;
  }
`;

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

export class Nginx {
  /** The service behind it, with a key, and told of nginx as the configuration wants it. */
  readonly server: Server;
  /** `https://localhost:PORT` */
  readonly url: string;
  /** Who vouches for it: in a file, and as text. */
  readonly ca: { readonly file: string; readonly pem: string };
  /** The environment in which the service was started. */
  readonly env: Readonly<Record<string, string>>;

  readonly #accessLog: string;

  private constructor(server: Server, url: string, ca: Nginx['ca'], env: Nginx['env'], accessLog: string) {
    this.server = server;
    this.url = url;
    this.ca = ca;
    this.env = env;
    this.#accessLog = accessLog;
  }

  /** What it has written of the requests that are over. */
  get accessLog(): string {
    return readFileSync(this.#accessLog, 'utf8');
  }

  /** Starts a service, and nginx before it. */
  static async start(): Promise<Nginx> {
    const [plainPort, port] = [await freePort(), await freePort()];
    const url = `https://localhost:${port}`;
    const env = {
      AUTH_SECRET: SECRET,
      PUBLIC_URL: url,
      TRUST_PROXY: 'loopback',
      LOG_LEVEL: 'debug',
      PUBLISH_RATE: '0',
    };
    const server = await Server.start({ env });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { file, pem } = selfSigned(privateKey);
    const folder = newFolder();
    const accessLog = join(folder, 'access.log');
    let configuration = CONFIGURATION;
    for (const [said, here] of [
      ['server 127.0.0.1:7070;', `server 127.0.0.1:${server.port};`],
      ['listen 80;', `listen 127.0.0.1:${plainPort};`],
      ['listen [::]:80;', ''],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['listen [::]:443 ssl http2;', ''],
      ['/var/log/nginx/tidings.log', accessLog],
      ['/etc/letsencrypt/live/push.example.org/fullchain.pem', file],
      ['/etc/letsencrypt/live/push.example.org/privkey.pem', join(dirname(file), 'key.pem')],
      ['server_name push.example.org;', 'server_name localhost;'],
    ] as const) {
      if (!configuration.includes(said)) throw new Error(`the configuration of nginx has no ${said}`);
      configuration = configuration.replaceAll(said, here);
    }
    writeFileSync(join(folder, 'tidings.conf'), configuration);
    // Its workers are to write into a folder of whoever runs the tests.
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    writeFileSync(join(folder, 'nginx.conf'), user + main(folder));
    const child = spawn(NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    // SIGTERM: it ends its workers as well.
    undoAtEnd(() => child.kill());
    await until(() => child.exitCode !== null || listens(port), 'nginx to listen');
    if (child.exitCode !== null) throw new Error(`nginx ended: ${said}`);
    return new Nginx(server, url, { file, pem }, env, accessLog);
  }
}

/**
 * A network of its own with push services in it (Linux, as root): names lead to public addresses that are this machine's
 * there and nowhere else, so that the service under test keeps all its rules, and nothing leaves the machine.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server as HttpsServer } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { test } from '@jest/globals';
import { request } from './api.ts';
import { selfSigned } from './certificate.ts';
import { type Opened, PushDevice, type Pushed } from './push-device.ts';
import { newFolder, Server, type ServerOptions, undoAtEnd } from './server.ts';
import { until } from './until.ts';

/** In public space; only within the network of a test. */
export const PUBLIC_ADDRESSES = ['11.22.33.44', '2a00:1234::1'];

/** Not public: they are there all the same, so that a connection to them would come through. */
const OTHER_ADDRESSES = [
  '10.0.0.1',
  '100.64.0.1',
  '169.254.169.254',
  '192.0.2.1',
  '198.18.0.1',
  'fd00::1',
  'fec0::1',
  '64:ff9b::b16:212c',
  '2002:b16:212c::1',
  '2001:db8::1',
];

/** Those of the certificate. */
const HOSTS = ['push.example.org', 'slow.example.org', 'other.example.org', '*.below.example.org'];

/** The service's port: nobody else is there. */
const PORT = 7070;

/** Joins the two networks: unix sockets are seen from both. */
const RELAY = `
const { createServer, connect } = require('node:net');
const { pipeline } = require('node:stream');
const [folder, port] = process.argv.slice(1);
const join = (to) => (from) => {
  const other = connect(to);
  pipeline(from, other, () => other.destroy());
  pipeline(other, from, () => from.destroy());
};
const [push, inside] = ['/push', '/inside'].map((name) => join({ path: folder + name }));
const addresses = process.argv.slice(3);
createServer((from) => (addresses.some((one) => from.localAddress.endsWith(one)) ? push : inside)(from)).listen(443, '::', () => {
  createServer(join({ port: Number(port), host: '127.0.0.1' })).listen(folder + '/api', () => process.stdout.write('ready'));
});
`;

const SET_UP = [
  'ip link set lo up',
  ...[...PUBLIC_ADDRESSES, ...OTHER_ADDRESSES].map(
    (address) => `ip addr add ${address}/${address.includes(':') ? '128 nodad' : '32'} dev lo`,
  ),
  'mount --bind "$HOSTS_FILE" /etc/hosts',
  'exec "$0" "$@"',
].join(' && ');

/** A `test` that makes such a network: skipped with one line where that cannot be done, but not in CI. */
export const pushTest = ((): typeof test | typeof test.skip => {
  const { status } = spawnSync('unshare', ['--net', '--mount', 'sh', '-c', SET_UP, 'true'], {
    env: { ...process.env, HOSTS_FILE: '/etc/hosts' },
  });
  if (status === 0 || process.env['CI'] === 'true') return test;
  process.stderr.write(
    'Tests that send notifications are skipped (as root, with apt-get install iproute2).\n',
  );
  return test.skip;
})();

/** How a push service answers. */
export type Answering = (response: ServerResponse, pushed: Pushed) => void;

/** An answer without a body. */
export function answering(status: number, headers: Record<string, string> = {}): Answering {
  return (response) => void response.writeHead(status, headers).end();
}

export class PushNetwork {
  /** All that came to a push service, in order. */
  readonly pushed: Pushed[] = [];
  /** How many connections were made to push services. */
  connections = 0;
  /** How many were made to addresses that are not public. */
  insideConnections = 0;
  /** How push services answer from now on; those that are not named say 201. */
  readonly answers = new Map<string, Answering>();
  /** Of the certificate of the push services. */
  readonly certificateFile: string;
  readonly #folder: string;
  readonly #service: HttpsServer;
  readonly #inside: TcpServer;
  readonly #api: TcpServer;
  #relay: ChildProcess | undefined;
  #database: string | undefined;

  private constructor() {
    this.#folder = newFolder();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { file, pem } = selfSigned(
      privateKey,
      HOSTS.map((host) => `DNS:${host}`),
    );
    this.certificateFile = file;
    this.setHosts(Object.fromEntries(HOSTS.map((host) => [host, PUBLIC_ADDRESSES])));
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.#service = createServer({ key, cert: pem }, (incoming, response) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () => {
        const { host = '' } = incoming.headers;
        const headers = incoming.headers as Record<string, string>;
        const pushed = { host, path: incoming.url ?? '', headers, body: Buffer.concat(parts) };
        this.pushed.push(pushed);
        (this.answers.get(host) ?? answering(201))(response, pushed);
      });
    });
    this.#service.on('connection', () => this.connections++);
    this.#inside = createTcpServer((from) => {
      this.insideConnections++;
      from.destroy();
    });
    this.#api = createTcpServer((from) => {
      const other = connect(join(this.#folder, 'api'));
      pipeline(from, other, () => other.destroy());
      pipeline(other, from, () => from.destroy());
    });
  }

  /** A network without a service yet. */
  static async start(): Promise<PushNetwork> {
    const network = new PushNetwork();
    await network.#listen();
    return network;
  }

  /** The URL at which tests reach the service. */
  get url(): string {
    return `http://127.0.0.1:${(this.#api.address() as AddressInfo).port}`;
  }

  /** Says which addresses names have from now on. */
  setHosts(hosts: Readonly<Record<string, readonly string[]>>): void {
    const lines = Object.entries(hosts).flatMap(([host, addresses]) =>
      addresses.map((address) => `${address} ${host}\n`),
    );
    writeFileSync(join(this.#folder, 'hosts'), `127.0.0.1 localhost\n${lines.join('')}`);
  }

  /** Put before a program that is to run in the network. */
  get wrapper(): readonly string[] {
    const pid = this.#relay?.pid;
    return ['nsenter', `--net=/proc/${pid}/ns/net`, `--mount=/proc/${pid}/ns/mnt`];
  }

  /** Starts a service in the network. Its database is that of the one before, if none is given. */
  async startServer(env: Readonly<Record<string, string>> = {}, database = this.#database): Promise<Server> {
    const options: ServerOptions = {
      port: PORT,
      ...(database === undefined ? {} : { database }),
      env: {
        NODE_EXTRA_CA_CERTS: this.certificateFile,
        // A connection that is there, but was not looked at for a quarter of a second, would be made a second time.
        NODE_OPTIONS: '--network-family-autoselection-attempt-timeout=10000',
        PUSH_HOSTS: HOSTS.join(),
        PUSH_DELAY_SECONDS: '0',
        ...env,
      },
      wrapper: this.wrapper,
    };
    const server = await Server.start(options);
    this.#database = server.database;
    return server;
  }

  /** A device that is notified of a recipient's messages from now on. */
  async subscribe(
    recipient: string,
    { device = new PushDevice(), reader }: { device?: PushDevice; reader?: string } = {},
  ): Promise<PushDevice> {
    const answer = await request(`${this.url}/push-subscriptions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ recipient, reader, subscription: device.subscription }),
    });
    if (answer.status !== 201 && answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return device;
  }

  /** Returns the decrypted notifications of a device. */
  openedOf(device: PushDevice): Promise<Opened[]> {
    return Promise.all(this.pushed.filter((one) => device.isOf(one)).map((one) => device.open(one)));
  }

  /** Waits until so many have come for a device, and gives them back opened. */
  async waitFor(device: PushDevice, count: number): Promise<Opened[]> {
    const come = (): number => this.pushed.filter((one) => device.isOf(one)).length;
    await until(() => come() >= count, `${count} notifications`);
    return this.openedOf(device);
  }

  async #listen(): Promise<void> {
    await once(this.#service.listen(join(this.#folder, 'push')), 'listening');
    await once(this.#inside.listen(join(this.#folder, 'inside')), 'listening');
    await once(this.#api.listen(0, '127.0.0.1'), 'listening');
    const program = [process.execPath, '--eval', RELAY, this.#folder, String(PORT), ...PUBLIC_ADDRESSES];
    const relay = spawn('unshare', ['--net', '--mount', 'sh', '-c', SET_UP, ...program], {
      env: { ...process.env, HOSTS_FILE: join(this.#folder, 'hosts') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#relay = relay;
    undoAtEnd(() => {
      relay.kill('SIGKILL');
      this.#service.closeAllConnections();
      this.#service.close();
      this.#inside.close();
      this.#api.close();
    });
    await once(relay.stdout, 'data');
    if (!existsSync(join(this.#folder, 'api'))) throw new Error('the network could not be made');
  }
}

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { makeFolder, start } from '../processes.js';
import { freePort, listening, Server } from '../server.js';
import { get, post } from './peer.js';
import { FOLDER, Program } from './program.js';

const VERSION = 'v0.24.2';
const HUB = 'github.com/dunglas/mercure';
const PATH = '/.well-known/mercure';
const program = new Program('mercure');

/** Newer than the version that Caddy asks for. */
const ROOTS = 'golang.org/x/crypto/x509roots/fallback@v0.0.0-20261030153154-30a33513ff6d';

/** `go install` refuses the program, because its module replaces another: a module of one's own builds it. */
const INSTALL = [
  'cd "$(mktemp -d)"',
  'go mod init hub',
  `go get ${HUB}@${VERSION} ${HUB}/caddy/mercure@${VERSION} ${ROOTS}`,
  `go build -o ${FOLDER}/ ${HUB}/caddy/mercure`,
].join(' && ');

/** The hub takes no publish without a token. */
const key = randomBytes(32).toString('hex');
const token = await new SignJWT({ mercure: { publish: ['*'] } })
  .setProtectedHeader({ alg: 'HS256' })
  .sign(Buffer.from(key));

/** Mercure's hub, which keeps nothing. */
export const mercureInMemory = mercure(
  'Mercure (memory)',
  'nothing is kept, in memory or on the disk',
  false,
  () => 'local',
);

/** Mercure's hub with its default storage. */
export const mercureOnDisk = mercure(
  'Mercure (BoltDB, synced)',
  'each message is a transaction of BoltDB, flushed before the answer',
  true,
  (folder) => `bolt {
      path ${join(folder, 'mercure.db')}
    }`,
);

/**
 * @param {string} name
 * @param {string} durability
 * @param {boolean} syncs
 * @param {(folder: string) => string} transport returns the storage, as the configuration names it
 * @returns {import('./peer.js').Peer}
 */
function mercure(name, durability, syncs, transport) {
  return {
    name,
    durability,
    syncs,
    missing: () => (program.isInstalled ? undefined : INSTALL),
    version: () => program.moduleVersion(HUB),
    start: async () => {
      const folder = makeFolder();
      const port = await freePort();
      const file = join(folder, 'Caddyfile');
      writeFileSync(file, configuration(port, transport(folder)));
      // Caddy keeps a number of its own in the home of its user.
      const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
      const child = start('mercure', ['run', '--config', file, '--adapter', 'caddyfile'], { env });
      await listening(child, port);
      return new Server(child, port, folder);
    },
    publish: (port, recipient, [content = '']) => {
      // The marks in a content have "@", which a form need not encode.
      const data = encodeURIComponent(content).replaceAll('%40', '@');
      const type = `application/x-www-form-urlencoded\r\nAuthorization: Bearer ${token}`;
      return post(port, PATH, `topic=${recipient}&data=${data}`, type);
    },
    stream: (port, recipients) => get(port, `${PATH}?topic=${recipients.join('&topic=')}`),
    live: '\n:\n',
    chunked: true,
    inOrder: true,
  };
}

/**
 * Returns a configuration without the times after which a stream is closed, and without heartbeats, whose bytes would be
 * counted. Caddy listens on no other port.
 *
 * @param {number} port
 * @param {string} transport
 */
function configuration(port, transport) {
  return `{
  admin off
  auto_https off
  persist_config off
  grace_period 1s
  log {
    level ERROR
  }
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  mercure {
    publisher_jwt ${key}
    anonymous
    heartbeat 0s
    write_timeout 0s
    dispatch_timeout 0s
    transport ${transport}
  }
}
`;
}

import { makeFolder, start } from '../processes.js';
import { freePort, listening, Server } from '../server.js';
import { get, post } from './peer.js';
import { Program } from './program.js';

const program = new Program('ntfy');

/**
 * ntfy, in memory, with its limits for visitors lifted. It sends each message to each device separately, in no order.
 *
 * @type {import('./peer.js').Peer}
 */
export const ntfy = {
  name: 'ntfy (memory)',
  durability: 'in memory, unless it has a file for its cache',
  syncs: false,
  missing: () => (program.isInstalled ? undefined : 'https://docs.ntfy.sh/install'),
  start: async () => {
    const folder = makeFolder();
    const port = await freePort();
    const child = start('ntfy', [
      ...['serve', '--config', '/dev/null', '--listen-http', `127.0.0.1:${port}`, '--log-level', 'error'],
      ...['--visitor-request-limit-exempt-hosts', '127.0.0.1', '--visitor-subscription-limit', '20000'],
      ...['--keepalive-interval', '1h'],
    ]);
    await listening(child, port);
    return new Server(child, port, folder);
  },
  publish: (port, recipient, [content = '']) => post(port, `/${recipient}`, content, 'text/plain'),
  stream: (port, [recipient = '']) => get(port, `/${recipient}/sse`),
  live: 'event: open',
  chunked: true,
  inOrder: false,
};

import { join } from 'node:path';
import { makeFolder, start } from '../processes.js';
import { freePort, listening, Server } from '../server.js';
import { get, post } from './peer.js';

const PROGRAM = new URL('plain-server.js', import.meta.url).pathname;

/**
 * A service written by hand with Express and SQLite, with the same promise: on disk before it is acknowledged.
 *
 * @type {import('./peer.js').Peer}
 */
export const plain = {
  name: 'plain Express (synced)',
  durability: 'each message is a transaction of SQLite, flushed before the answer',
  syncs: true,
  missing: () => undefined,
  start: async () => {
    const folder = makeFolder();
    const port = await freePort();
    const child = start(process.execPath, [PROGRAM, String(port), join(folder, 'messages.sqlite')]);
    await listening(child, port);
    return new Server(child, port, folder);
  },
  publish: (port, recipient, [content = '']) => {
    return post(
      port,
      '/messages',
      JSON.stringify({ recipient, sender: 'alice', content }),
      'application/json',
    );
  },
  stream: (port, [recipient = '']) => get(port, `/stream?recipient=${recipient}`),
  live: '\r\n\r\n',
  chunked: true,
  inOrder: true,
};

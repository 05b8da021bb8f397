/**
 * Loaded into a command (`node --import`): kills its process, as kill -9 does, right after it has sent so many messages to NATS.
 * The number is the query of this module's URL.
 */
import { Socket } from 'node:net';

/** @typedef {(writev: boolean, data: unknown, encoding: unknown, done: unknown) => void} WriteGeneric */

let left = Number(new URL(import.meta.url).search.slice(1));

const prototype = /** @type {{ _writeGeneric: WriteGeneric }} */ (/** @type {unknown} */ (Socket.prototype));
const writeGeneric = prototype._writeGeneric;

/** @type {(this: Socket, ...args: Parameters<WriteGeneric>) => void} */
prototype._writeGeneric = function (writev, data, encoding, done) {
  writeGeneric.call(this, writev, data, encoding, done);
  const chunks = /** @type {(string | Buffer)[]} */ (
    writev ? /** @type {{ chunk: Buffer }[]} */ (data).map(({ chunk }) => chunk) : [data]
  );
  for (const chunk of chunks) left -= (chunk.toString('latin1').match(/(?:^|\r\n)H?PUB /g) ?? []).length;
  if (left <= 0) process.kill(process.pid, 'SIGKILL');
};

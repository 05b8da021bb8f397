/** Loaded into a service by a test: alters what it writes, as its query says (`FROM=TO`), to see that this is noticed. */
import { Socket } from 'node:net';

const [[from, to]] = /** @type {[[string, string]]} */ ([...new URL(import.meta.url).searchParams]);

/** @param {unknown} chunk */
const altered = (chunk) =>
  typeof chunk === 'string' || Buffer.isBuffer(chunk)
    ? Buffer.from(Buffer.from(chunk).toString('latin1').replace(from, to), 'latin1')
    : chunk;

const methods = /** @type {Record<string, (...args: unknown[]) => unknown>} */ (
  /** @type {unknown} */ (Socket.prototype)
);
for (const name of ['write', 'end']) {
  const original = methods[name];
  Object.defineProperty(methods, name, {
    /** @this {Socket} @param {unknown} chunk @param {unknown[]} rest */
    value(chunk, ...rest) {
      return original?.call(this, altered(chunk), ...rest);
    },
  });
}

import type { IncomingMessage } from 'node:http';

/** Of a client that nothing more is read of, nobody notices that it has gone. */
const UNWATCHED = Symbol('unwatched');
const unwatched = new WeakSet<IncomingMessage>();

/** Tells whoever holds a request that its client can no longer be seen to go. Nothing is done if that was told. */
export function tellUnwatched(request: IncomingMessage): void {
  if (unwatched.has(request)) return;
  unwatched.add(request);
  request.emit(UNWATCHED);
}

/**
 * Calls a listener when the client of a request that is under way can no longer be seen to go, since something was sent
 * behind it; at once if that is so already. Such a request is not to be held for long.
 */
export function onUnwatched(request: IncomingMessage, listener: () => void): void {
  if (unwatched.has(request)) listener();
  else request.once(UNWATCHED, listener);
}

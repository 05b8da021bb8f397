import type { IncomingMessage } from 'node:http';

/** The event of a request whose client is no longer watched: while nothing more is read from it, nobody sees it leave. */
const UNWATCHED = Symbol('unwatched');
const unwatched = new WeakSet<IncomingMessage>();

/**
 * Notes that the client of a request can no longer be seen to leave, and calls the listener. Does nothing a second
 * time.
 */
export function markUnwatched(request: IncomingMessage): void {
  if (unwatched.has(request)) return;
  unwatched.add(request);
  request.emit(UNWATCHED);
}

/**
 * Calls a listener when the client of a request under way can no longer be seen to leave, since something was sent
 * after the request; at once if that has happened already. Do not hold such a request for long.
 */
export function onUnwatched(request: IncomingMessage, listener: () => void): void {
  if (unwatched.has(request)) listener();
  else request.once(UNWATCHED, listener);
}

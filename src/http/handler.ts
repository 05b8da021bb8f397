import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../auth/identity.ts';

/** A request of node:http as the router passes it on, with the results of earlier handlers. */
export interface RoutedRequest extends IncomingMessage {
  url: string;
  method: string;
  /** The variable parts of the path, by name. */
  readonly params: Readonly<Record<string, string | string[] | undefined>>;
  /** Set by `readBody`. A route that waits for long removes it. */
  body?: unknown;
  /** Set by the authenticator. */
  identity?: Identity;
}

/** A step of a route. An error that it throws, or that its promise is rejected with, becomes a problem. */
export type Handler = (
  request: RoutedRequest,
  response: ServerResponse,
  next: () => void,
) => void | Promise<void>;

/** A condition that a request must meet before its route goes on. @throws {Refusal} if it does not */
export type Check = (request: RoutedRequest) => void;

/** Returns a handler that runs checks in order. One step of the router costs as much as several checks. */
export function checked(...checks: readonly Check[]): Handler {
  return (request, _response, next) => {
    for (const check of checks) check(request);
    next();
  };
}

/** A step of a route that handles an error of a handler before it. */
export type ErrorHandler = (
  error: unknown,
  request: RoutedRequest,
  response: ServerResponse,
  next: (error: unknown) => void,
) => void;

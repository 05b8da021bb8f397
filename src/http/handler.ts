import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../auth/identity.ts';

/** A request as the router hands it on: that of node:http, with what was found out on the way. */
export interface RoutedRequest extends IncomingMessage {
  url: string;
  method: string;
  /** What stood in the path, by name. */
  readonly params: Readonly<Record<string, string | string[] | undefined>>;
  /** Set behind `readBody`; a route that waits for long takes it away. */
  body?: unknown;
  /** Set behind the authenticator. */
  identity?: Identity;
}

/** What a route does. What it throws, and what the promise is rejected with, becomes a problem. */
export type Handler = (
  request: RoutedRequest,
  response: ServerResponse,
  next: () => void,
) => void | Promise<void>;

/** What must hold of a request before a route goes on. @throws {Refusal} if it does not */
export type Check = (request: RoutedRequest) => void;

/** Returns a handler that makes checks in their order. One step of the router costs as much as several checks. */
export function checked(...checks: readonly Check[]): Handler {
  return (request, _response, next) => {
    for (const check of checks) check(request);
    next();
  };
}

/** What a route does with what a handler before it has thrown. */
export type ErrorHandler = (
  error: unknown,
  request: RoutedRequest,
  response: ServerResponse,
  next: (error: unknown) => void,
) => void;

import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Router } from 'express';
import type { Logger } from 'pino';
import proxyaddr from 'proxy-addr';
import { ArrivingBytes } from './wire/arriving-bytes.ts';
import { checkContentType } from './http/body.ts';
import { checkHeader } from './http/check-header.ts';
import { cluster, type ViewedCluster } from './http/routes/cluster.ts';
import { conversations } from './http/routes/conversations.ts';
import { checked, type ErrorHandler, type Handler } from './http/handler.ts';
import { healthz, readyz } from './http/routes/health.ts';
import { metricsRoute } from './http/routes/metrics.ts';
import { notFound } from './http/not-found.ts';
import { openApi } from './http/routes/openapi.ts';
import { openApiDocument } from './openapi/document.ts';
import { allowAt, type Method, type MethodsOf, type Path, pathsOf } from './http/paths.ts';
import { pages } from './http/routes/pages.ts';
import { presence } from './http/routes/presence.ts';
import { methodNotAllowed, sendProblem } from './http/problem.ts';
import {
  checkRoom,
  limitRate,
  publish,
  addMayBeStored,
  settleRefused,
  takeBytes,
} from './http/routes/publish.ts';
import { Publisher } from './publish/publisher.ts';
import { message, pull } from './http/routes/pull.ts';
import { pushKey } from './http/routes/push-key.ts';
import {
  type PushSubscriptionParts,
  subscribe,
  subscriptions,
  unsubscribe,
} from './http/routes/push-subscriptions.ts';
import { originForm, pathOf } from './http/query.ts';
import { readBody } from './http/read-body.ts';
import { endSession, openSession, session, type SessionParts } from './http/routes/session.ts';
import type { RefusalCounters } from './metrics/counters/refusal-counters.ts';
import { RequestLog } from './http/request-log.ts';
import { refuseInOutage } from './http/refuse-in-outage.ts';
import { StreamOpening } from './http/stream-opening.ts';
import { stream } from './http/routes/stream.ts';
import { webSocket } from './http/routes/web-socket.ts';
import type { PushStore } from './log/push-store.ts';
import type { Readiness } from './log/readiness.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Listener } from './http/server.ts';
import type { StreamRequestParts } from './http/stream-request.ts';
import { WEB_SOCKET_PATH } from './ws/handshake.ts';
import type { Pings } from './ws/pings.ts';

/** The parts that the routes work with. */
export interface AppParts extends StreamRequestParts, PushSubscriptionParts, SessionParts {
  readonly pings: Pings;
  readonly pushStore: PushStore;
  /** The key that browsers subscribe to notifications with. */
  readonly publicKey: string;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly refusals: RefusalCounters;
  /** `undefined` if this is the only node. */
  readonly cluster: ViewedCluster | undefined;
  readonly logger: Logger;
}

/** The part of the configuration that concerns the routes. */
export interface AppOptions {
  /** The prefix of this service's paths, as clients see them: empty, or `/…` without a slash at the end. */
  readonly basePath: string;
  readonly trustProxy: boolean | number | string;
}

/** A router: `done` is called if none of its routes has answered. */
type Route = (request: IncomingMessage, response: ServerResponse, done: (error?: unknown) => void) => void;

/** The paths of streams, which are opened before the router is called. */
type StreamPath = '/stream' | typeof WEB_SOCKET_PATH;

/** The handlers of every other path, by method, in the order in which they are called. */
type RoutedHandlers = {
  readonly [P in Exclude<Path, StreamPath>]: Readonly<
    Record<MethodsOf<P>, readonly (Handler | ErrorHandler)[]>
  >;
};

/** node:http keeps the bytes of a header until the next one. A connection with a longer target is closed afterwards. */
const MAX_KEPT_TARGET_BYTES = 64 * 1024;

/** Returns the listener for every route. Streams are matched before Express, which handles the others. */
export function createApp(parts: AppParts, { trustProxy, basePath }: AppOptions): Listener {
  const { log, pushStore, connections, outage, authenticator, origins, rate, refusals } = parts;
  // Only the router is used: an application of Express changes the prototype of each request and response, which makes
  // look-ups slower. They would take half the time of a publish (docs/speed.md).
  const routes = express.Router({ caseSensitive: true, strict: true });
  const trust = trustIn(trustProxy);
  const requests = new RequestLog(parts.logger, (request) => proxyaddr(request, trust));
  const problems = { basePath, requests, refusals };
  const paths = pathsOf(parts.cluster !== undefined);
  const publisher = new Publisher(parts, rate);

  const known = authenticator.middleware;
  const arriving = new ArrivingBytes();
  const { recheck } = authenticator;
  const read = readBody(arriving);
  const room = checkRoom(log);
  const admit = [limitRate(rate), checkContentType];
  const pay = [recheck, takeBytes(rate)];
  const settle = settleRefused(rate);
  const handlers: RoutedHandlers = {
    '/messages': {
      get: [known, pull(parts)],
      post: [
        ...[known, checked(...admit, room), read, checked(...pay, room), settle],
        ...[publish(publisher, basePath), addMayBeStored],
      ],
    },
    '/messages/{id}': { get: [known, message(log)] },
    '/conversations': { get: [known, conversations(log)] },
    '/presence': { get: [known, presence(parts.presence)] },
    '/push-key': { get: [known, pushKey(parts.publicKey)] },
    '/push-subscriptions': {
      get: [known, subscriptions(pushStore)],
      post: [known, checked(...admit), read, checked(...pay), settle, subscribe(parts)],
      delete: [known, checked(checkContentType), read, checked(recheck), unsubscribe(parts, pushStore)],
    },
    '/session': {
      get: [known, session(parts)],
      put: [known, openSession(parts)],
      delete: [endSession(parts)],
    },
    '/healthz': { get: [healthz] },
    '/readyz': { get: [readyz(parts.readiness, connections)] },
    '/metrics': { get: [known, metricsRoute(parts.metrics)] },
    '/openapi.json': {
      get: [openApi(openApiDocument({ basePath, isCluster: parts.cluster !== undefined }))],
    },
    '/cluster': { get: parts.cluster === undefined ? [] : [known, cluster(parts.cluster)] },
  };
  addRoutes(routes, handlers, paths);
  routes.use(pages());

  const opening = new StreamOpening(parts, authenticator, problems);
  const openStream = stream(opening);
  const openWebSocket = webSocket({ ...parts, publisher, arriving }, opening, problems);
  // By its type, the router needs the requests of an application. In fact it uses nothing that those add.
  const route = routes as unknown as Route;
  return (request, response, upgrade) => {
    requests.begin(request, response);
    const isLong = (request.url ?? '').length > MAX_KEPT_TARGET_BYTES;
    if (connections.ending || isLong) response.shouldKeepAlive = false;
    const fail = (error: unknown): void => sendProblem(request, response, error, problems);
    try {
      checkHeader(request);
      const target = originForm(request.url ?? '');
      const path = pathOf(target);
      if (origins.admit(request, response)) return;
      request.url = target;
      if (path === '/stream') openStream(request, response).catch(fail);
      else if (path === WEB_SOCKET_PATH) openWebSocket(request, response, upgrade).catch(fail);
      else {
        refuseInOutage(outage, request.method, path);
        route(request, response, (error) => fail(error ?? notFound(path, basePath, paths)));
      }
    } catch (error) {
      fail(error);
    }
  };
}

/** Adds a route for each path. Methods without a handler are refused. */
function addRoutes(routes: Router, handlers: RoutedHandlers, paths: readonly Path[]): void {
  for (const path of paths) {
    if (path === '/stream' || path === WEB_SOCKET_PATH) continue;
    // A parameter is `{id}` in OpenAPI, and `:id` for the router.
    const route = routes.route(path.replace(/\{(\w+)\}/g, ':$1'));
    for (const [method, steps] of Object.entries(handlers[path])) route[method as Method](...steps);
    route.all(methodNotAllowed(allowAt(path)));
  }
}

/** Returns whether the proxy at an address is trusted, by the setting `trust proxy` of Express. */
function trustIn(trusted: boolean | number | string): (address: string, index: number) => boolean {
  if (typeof trusted === 'boolean') return () => trusted;
  if (typeof trusted === 'number') return (_address, index) => index < trusted;
  return proxyaddr.compile(trusted.split(',').map((one) => one.trim()));
}

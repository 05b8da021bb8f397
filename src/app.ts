import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { Logger } from 'pino';
import proxyaddr from 'proxy-addr';
import { Refusal } from './errors.ts';
import { ArrivingBytes } from './wire/arriving-bytes.ts';
import { checkContentType } from './http/body.ts';
import { cluster, type ViewedCluster } from './http/routes/cluster.ts';
import { conversations } from './http/routes/conversations.ts';
import { checked } from './http/handler.ts';
import { healthz, readyz } from './http/routes/health.ts';
import { metricsRoute } from './http/routes/metrics.ts';
import { NAMES, NAMES_OF_NODE, notFound } from './http/not-found.ts';
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
import { mergeRepeated } from './http/repeated-headers.ts';
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

/** Clients send a dozen header fields. With more than this, the proxy is broken or the client malicious. */
const MAX_HEADERS = 100;

/** The most bytes of all fields' names and values. The limit of node:http includes the target (server.ts). */
const MAX_FIELD_BYTES = 16 * 1024;

/** node:http keeps the bytes of a header until the next one. After a longer target the connection is closed. */
const MAX_KEPT_TARGET_BYTES = 64 * 1024;

/** Returns the listener for every route. Streams are matched before Express, which handles the others. */
export function createApp(parts: AppParts, { trustProxy, basePath }: AppOptions): Listener {
  const { log, pushStore, connections, outage, authenticator, origins, rate, refusals } = parts;
  // Only the router: an application of Express changes the prototype of each request and response, and the slower
  // look-ups that follow take half the time of a publish (docs/speed.md).
  const routes = express.Router({ caseSensitive: true, strict: true });
  const trust = trustIn(trustProxy);
  const requests = new RequestLog(parts.logger, (request) => proxyaddr(request, trust));
  const problems = { requests, refusals };
  const names = parts.cluster === undefined ? NAMES : NAMES_OF_NODE;
  const publisher = new Publisher(parts, rate);

  const known = authenticator.middleware;
  const arriving = new ArrivingBytes();
  const { recheck } = authenticator;
  const read = readBody(arriving);
  const room = checkRoom(log);
  const admit = [limitRate(rate), checkContentType];
  const pay = [recheck, takeBytes(rate)];
  const settle = settleRefused(rate);
  routes
    .route('/messages')
    .get(known, pull(parts))
    .post(known, checked(...admit, room), read, checked(...pay, room), settle)
    .post(publish(publisher, basePath), addMayBeStored)
    .all(methodNotAllowed('GET, HEAD, POST'));
  routes.route('/messages/:id').get(known, message(log)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/conversations').get(known, conversations(log)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/presence').get(known, presence(parts.presence)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/push-key').get(known, pushKey(parts.publicKey)).all(methodNotAllowed('GET, HEAD'));
  routes
    .route('/push-subscriptions')
    .get(known, subscriptions(pushStore))
    .post(known, checked(...admit), read, checked(...pay), settle, subscribe(parts))
    .delete(known, checked(checkContentType), read, checked(recheck), unsubscribe(parts, pushStore))
    .all(methodNotAllowed('GET, HEAD, POST, DELETE'));
  routes
    .route('/session')
    .get(known, session(parts))
    .put(known, openSession(parts))
    .delete(endSession(parts))
    .all(methodNotAllowed('GET, HEAD, PUT, DELETE'));
  routes.route('/healthz').get(healthz).all(methodNotAllowed('GET, HEAD'));
  routes.route('/readyz').get(readyz(parts.readiness, connections)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/metrics').get(known, metricsRoute(parts.metrics)).all(methodNotAllowed('GET, HEAD'));
  if (parts.cluster !== undefined) {
    routes.route('/cluster').get(known, cluster(parts.cluster)).all(methodNotAllowed('GET, HEAD'));
  }
  routes.use(pages());

  const opening = new StreamOpening(parts, authenticator, problems);
  const openStream = stream(opening);
  const openWebSocket = webSocket({ ...parts, publisher, arriving }, opening, problems);
  // Its type asks for the requests of an application, but it uses nothing of them.
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
        route(request, response, (error) => fail(error ?? notFound(path, basePath, names)));
      }
    } catch (error) {
      fail(error);
    }
  };
}

/** Returns whether the proxy at an address is trusted, by the setting `trust proxy` of Express. */
function trustIn(trusted: boolean | number | string): (address: string, index: number) => boolean {
  if (typeof trusted === 'boolean') return () => trusted;
  if (typeof trusted === 'number') return (_address, index) => index < trusted;
  return proxyaddr.compile(trusted.split(',').map((one) => one.trim()));
}

/**
 * Closes the connection. If the end of a request is uncertain, the bytes after it must not be read as another one. The
 * memory of a long header is freed.
 */
const CLOSE = { headers: { Connection: 'close' } };

/** Merges repeated fields, if the header is well formed and within its bounds. @throws {Refusal} if it is not */
function checkHeader(request: IncomingMessage): void {
  const { headers, httpVersion, rawHeaders } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new Refusal(
      'malformed',
      'Send HTTP/1.1 or HTTP/1.0: the request line names another version.',
      CLOSE,
    );
  }
  const coding = headers['transfer-encoding']?.toLowerCase();
  if (coding !== undefined && (httpVersion === '1.0' || !/(^|[,\s])chunked$/.test(coding))) {
    throw new Refusal('malformed', 'The length of the body is not known (RFC 9112 §6.3).', CLOSE);
  }
  if (coding !== undefined && coding !== 'chunked') {
    throw new Refusal('not-implemented', 'The only Transfer-Encoding understood here is chunked.', CLOSE);
  }
  if (headers.host === undefined && httpVersion === '1.1') {
    throw new Refusal('malformed', 'A request of HTTP/1.1 must have a Host header (RFC 9112 §3.2).');
  }
  if (rawHeaders.length > MAX_HEADERS * 2) {
    throw new Refusal('header-too-large', `The request has more than ${MAX_HEADERS} header fields.`, CLOSE);
  }
  // One character is one byte: node:http reads them as Latin-1.
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  if (bytes > MAX_FIELD_BYTES) {
    throw new Refusal('header-too-large', 'The header fields take more than 16 KiB.', CLOSE);
  }
  mergeRepeated(request);
}

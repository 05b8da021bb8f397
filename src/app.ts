import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { Logger } from 'pino';
import proxyaddr from 'proxy-addr';
import { Refusal } from './errors.ts';
import { ArrivingBytes } from './arriving-bytes.ts';
import { checkContentType } from './http/body.ts';
import { conversations } from './http/conversations.ts';
import { setDataHeaders } from './http/data-headers.ts';
import { checked } from './http/handler.ts';
import { healthz, readyz } from './http/health.ts';
import { metricsRoute } from './http/metrics.ts';
import { nothingAt } from './http/nothing-at.ts';
import { pages } from './http/pages.ts';
import { presence } from './http/presence.ts';
import { methodNotAllowed, sendProblem } from './http/problem.ts';
import { checkRoom, limitRate, publish, sayWhetherStored, settleRefused, takeBytes } from './http/publish.ts';
import { Publisher } from './http/publisher.ts';
import { message, pull } from './http/pull.ts';
import { pushKey } from './http/push-key.ts';
import {
  type PushSubscriptionParts,
  subscribe,
  subscriptions,
  unsubscribe,
} from './http/push-subscriptions.ts';
import { originForm, pathOf } from './http/query.ts';
import { readBody } from './http/read-body.ts';
import { mergeRepeated } from './http/repeated-headers.ts';
import { endSession, openSession, session, type SessionParts } from './http/session.ts';
import type { Refusals } from './http/refusals.ts';
import { RequestLog } from './http/request-log.ts';
import { stream } from './http/stream.ts';
import { webSocket } from './http/web-socket.ts';
import type { Readiness } from './log/readiness.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Listener } from './server.ts';
import type { StreamParts } from './stream/device-stream.ts';
import { WEB_SOCKET_PATH } from './ws/handshake.ts';
import type { Pings } from './ws/pings.ts';

/** What the routes work with. */
export interface AppParts extends StreamParts, PushSubscriptionParts, SessionParts {
  readonly pings: Pings;
  /** What browsers subscribe to notifications with. */
  readonly publicKey: string;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly refusals: Refusals;
  readonly logger: Logger;
}

/** What the configuration says of the routes. */
export interface AppOptions {
  /** What stands before the paths of this service; empty, or `/…` without a slash at its end. */
  readonly basePath: string;
  readonly trustProxy: boolean | number | string;
}

/** A request goes through the routes; `done` is called where none has answered. */
type Route = (request: IncomingMessage, response: ServerResponse, done: (error?: unknown) => void) => void;

/** Clients send a dozen; with so many, the proxy is broken or the client malicious. */
const MAX_HEADERS = 100;

/** Bytes of their names and values. A target may be longer: node:http counts it with them (server.ts). */
const MAX_FIELD_BYTES = 16 * 1024;

/** node:http keeps the bytes of a header until the next one: past so many a connection is closed behind its answer. */
const MAX_KEPT_TARGET_BYTES = 64 * 1024;

/** Every route of the service. Streams are matched before Express; the rest is Express's. */
export function createApp(parts: AppParts, { trustProxy, basePath }: AppOptions): Listener {
  const { log, devices, authenticator, origins, rate, refusals } = parts;
  // The router alone: an application gives each request and response another prototype, and what is slow to look up
  // after that is half of the time of a publish (docs/speed.md).
  const routes = express.Router({ caseSensitive: true, strict: true });
  const trust = trustIn(trustProxy);
  const requests = new RequestLog(parts.logger, (request) => proxyaddr(request, trust));
  const problems = { requests, refusals };
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
    .post(publish(publisher, basePath), sayWhetherStored)
    .all(methodNotAllowed('GET, HEAD, POST'));
  routes.route('/messages/:id').get(known, message(log)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/conversations').get(known, conversations(log)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/presence').get(known, presence(parts.presence)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/push-key').get(known, pushKey(parts.publicKey)).all(methodNotAllowed('GET, HEAD'));
  routes
    .route('/push-subscriptions')
    .get(known, subscriptions(log.pushes))
    .post(known, checked(...admit), read, checked(...pay), settle, subscribe(parts))
    .delete(known, checked(checkContentType), read, checked(recheck), unsubscribe(parts, log.pushes))
    .all(methodNotAllowed('GET, HEAD, POST, DELETE'));
  routes
    .route('/session')
    .get(known, session(parts))
    .put(known, openSession(parts))
    .delete(endSession(parts))
    .all(methodNotAllowed('GET, HEAD, PUT, DELETE'));
  routes.route('/healthz').get(healthz).all(methodNotAllowed('GET, HEAD'));
  routes.route('/readyz').get(readyz(parts.readiness, devices)).all(methodNotAllowed('GET, HEAD'));
  routes.route('/metrics').get(known, metricsRoute(parts.metrics)).all(methodNotAllowed('GET, HEAD'));
  routes.use(pages());

  const openStream = stream(parts, authenticator, problems);
  const openWebSocket = webSocket({ ...parts, publisher, arriving }, authenticator, problems);
  // Typed for the requests of an application, of which it uses nothing.
  const route = routes as unknown as Route;
  return (request, response, upgrade) => {
    requests.begin(request, response);
    const isLong = (request.url ?? '').length > MAX_KEPT_TARGET_BYTES;
    if (devices.ending || isLong) response.shouldKeepAlive = false;
    const fail = (error: unknown): void => sendProblem(request, response, error, problems);
    try {
      checkHeader(request);
      const target = originForm(request.url ?? '');
      const path = pathOf(target);
      // A stream has its own headers: what is set here would stay in memory as long as it is open.
      const opensStream = (path === '/stream' && request.method === 'GET') || upgrade !== undefined;
      if (!opensStream) setDataHeaders(response);
      if (origins.admit(request, response)) return;
      request.url = target;
      if (path === '/stream') openStream(request, response).catch(fail);
      else if (path === WEB_SOCKET_PATH) openWebSocket(request, response, upgrade).catch(fail);
      else route(request, response, (error) => fail(error ?? nothingAt(path, basePath)));
    } catch (error) {
      fail(error);
    }
  };
}

/** Which proxies are believed, as Express reads it. */
function trustIn(trusted: boolean | number | string): (address: string, index: number) => boolean {
  if (typeof trusted === 'boolean') return () => trusted;
  if (typeof trusted === 'number') return (_address, index) => index < trusted;
  return proxyaddr.compile(trusted.split(',').map((one) => one.trim()));
}

/** If it is not sure where a request ends, nothing behind it is to be taken for another one. A long header is let go of. */
const CLOSE = { headers: { Connection: 'close' } };

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
  // Each byte is a character of its own: node:http reads them as Latin-1.
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  if (bytes > MAX_FIELD_BYTES) {
    throw new Refusal('header-too-large', 'The header fields take more than 16 KiB.', CLOSE);
  }
  mergeRepeated(request);
}

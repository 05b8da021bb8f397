import type { RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';
import express, { type ErrorRequestHandler } from 'express';
import type { Logger } from 'pino';
import proxyaddr from 'proxy-addr';
import { Refusal } from './errors.ts';
import { checkContentType, readBody } from './http/body.ts';
import { conversations } from './http/conversations.ts';
import { healthz, readyz } from './http/health.ts';
import { metricsRoute } from './http/metrics.ts';
import { presence } from './http/presence.ts';
import { methodNotAllowed, sendProblem } from './http/problem.ts';
import { publish } from './http/publish.ts';
import { message, pull } from './http/pull.ts';
import { pathOf } from './http/query.ts';
import type { Refusals } from './http/refusals.ts';
import { RequestLog } from './http/request-log.ts';
import { stream } from './http/stream.ts';
import type { Readiness } from './log/readiness.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { StreamParts } from './sse/device-stream.ts';

/** What the routes work with. */
export interface AppParts extends StreamParts {
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly refusals: Refusals;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
}

/** What the configuration says of the routes. */
export interface AppOptions {
  /** What stands before the paths of this service where clients reach it; empty, or `/…` without a slash at its end. */
  readonly basePath: string;
  readonly trustProxy: boolean | number | string;
}

const PUBLIC = fileURLToPath(new URL('../public/', import.meta.url));

/** Every route of the service. Streams are matched before Express; the rest is Express's. */
export function createApp(parts: AppParts, { basePath, trustProxy }: AppOptions): RequestListener {
  const { log, devices, refusals } = parts;
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing');
  app.set('query parser', false).set('trust proxy', trustProxy);
  const trust = app.get('trust proxy fn') as (address: string, index: number) => boolean;
  const requests = new RequestLog(parts.logger, (request) => proxyaddr(request, trust));
  const problems = { requests, refusals };

  app
    .route('/messages')
    .get(pull(parts))
    .post(checkContentType, readBody, publish(parts, basePath))
    .all(methodNotAllowed('GET, HEAD, POST'));
  app.route('/messages/:id').get(message(log)).all(methodNotAllowed('GET, HEAD'));
  app.route('/conversations').get(conversations(log)).all(methodNotAllowed('GET, HEAD'));
  app.route('/presence').get(presence(parts.presence)).all(methodNotAllowed('GET, HEAD'));
  app.route('/healthz').get(healthz).all(methodNotAllowed('GET, HEAD'));
  app.route('/readyz').get(readyz(parts.readiness, devices)).all(methodNotAllowed('GET, HEAD'));
  app.route('/metrics').get(metricsRoute(parts.metrics)).all(methodNotAllowed('GET, HEAD'));
  app.use(express.static(PUBLIC, { index: 'index.html', redirect: false, acceptRanges: false }));
  app.use(() => {
    throw new Refusal('not-found', 'There is nothing at this path.');
  });
  app.use(((error: unknown, request, response, _next) => {
    sendProblem(request, response, error, problems);
  }) satisfies ErrorRequestHandler);

  const openStream = stream(parts, problems);
  return (request, response) => {
    requests.begin(request, response);
    if (devices.ending) response.shouldKeepAlive = false;
    try {
      if (request.headers.host === undefined && request.httpVersion === '1.1') {
        throw new Refusal('malformed', 'A request of HTTP/1.1 has a Host (RFC 9112 §3.2).');
      }
      if (pathOf(request.url ?? '') === '/stream') openStream(request, response);
      else app(request, response);
    } catch (error) {
      sendProblem(request, response, error, problems);
    }
  };
}

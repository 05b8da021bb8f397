import type { RequestHandler } from 'express';
import type { Metrics } from '../metrics/metrics.ts';
import { Query } from './query.ts';

/** `GET /metrics`: what the service counts and measures, in the text format of Prometheus. */
export function metricsRoute(metrics: Metrics): RequestHandler {
  return async (request, response) => {
    new Query(request.url, []).check();
    const text = await metrics.text();
    response.setHeader('Content-Type', metrics.contentType);
    response.send(text);
  };
}

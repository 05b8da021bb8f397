import type { RequestHandler } from 'express';
import type { Metrics } from '../metrics/metrics.ts';
import { identityOf } from './authenticate.ts';
import { forbidden } from './permission.ts';
import { Query } from './query.ts';

/**
 * `GET /metrics`: what the service counts and measures, in the text format of Prometheus. A token needs the
 * claim `metrics`.
 */
export function metricsRoute(metrics: Metrics): RequestHandler {
  return async (request, response) => {
    new Query(request.url, []).check();
    if (!identityOf(response).metrics) {
      throw forbidden([{ path: '', message: 'The metrics need a token with "metrics": true' }]);
    }
    const text = await metrics.text();
    response.setHeader('Content-Type', metrics.contentType);
    response.send(text);
  };
}

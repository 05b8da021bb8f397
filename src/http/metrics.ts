import { Refusal } from '../errors.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { identityOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { INSUFFICIENT_SCOPE } from './permission.ts';
import { Query } from './query.ts';

/**
 * `GET /metrics`: what the service counts and measures, in the text format of Prometheus. A token needs the
 * claim `metrics`.
 */
export function metricsRoute(metrics: Metrics): Handler {
  return async (request, response) => {
    new Query(request.url, []).check();
    if (!identityOf(request).metrics) {
      throw new Refusal('forbidden', 'The metrics need a token with "metrics": true.', {
        headers: INSUFFICIENT_SCOPE,
      });
    }
    const text = await metrics.text();
    response
      .writeHead(200, {
        'Content-Type': metrics.contentType,
        'Content-Length': Buffer.byteLength(text),
      })
      .end(text);
  };
}

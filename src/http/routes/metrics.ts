import type { Metrics } from '../../metrics/metrics.ts';
import { identityOf } from '../authenticate.ts';
import { DATA_HEADERS } from '../data-headers.ts';
import type { Handler } from '../handler.ts';
import { requireMetrics } from '../../auth/permission.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';

/**
 * Serves `GET /metrics`: the counts and measurements of the service, in the text format of Prometheus. A token needs the
 * claim `metrics`.
 */
export function metricsRoute(metrics: Metrics): Handler {
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    requireMetrics(identityOf(request), 'The metrics need');
    const text = await metrics.text();
    response
      .writeHead(200, {
        ...DATA_HEADERS,
        'Content-Type': metrics.contentType,
        'Content-Length': Buffer.byteLength(text),
      })
      .end(text);
  };
}

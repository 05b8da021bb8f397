import { unavailable } from '../../errors.ts';
import type { Connections } from '../../hub/connections.ts';
import { LogUnavailable } from '../../log/message-log.ts';
import type { Readiness } from '../../log/readiness.ts';
import type { Handler } from '../handler.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { sendJson } from '../send-json.ts';

/** Serves `GET /healthz`: the process is alive. Answers `{"status": "ok"}`. */
export const healthz: Handler = (request, response) => {
  new Query(request.url, NO_PARAMETERS).check();
  sendJson(response, '{"status":"ok"}');
};

/** Serves `GET /readyz`: tries to read and write the log. Answers `{"status": "ready"}`, else 503 with the reason. */
export function readyz(readiness: Readiness, connections: Connections): Handler {
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    if (connections.ending) throw unavailable('Not ready: the service is shutting down.', 2);
    try {
      await readiness.check();
    } catch (error) {
      throw error instanceof LogUnavailable ? unavailable(`Not ready: ${error.message}.`, 2, true) : error;
    }
    sendJson(response, '{"status":"ready"}');
  };
}

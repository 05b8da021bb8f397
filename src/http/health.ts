import { unavailable } from '../errors.ts';
import type { Devices } from '../hub/devices.ts';
import { LogUnavailable } from '../log/message-log.ts';
import type { Readiness } from '../log/readiness.ts';
import type { Handler } from './handler.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/** `GET /healthz`: the process lives. Answers `{"status": "ok"}`. */
export const healthz: Handler = (request, response) => {
  new Query(request.url, []).check();
  sendJson(response, '{"status":"ok"}');
};

/** `GET /readyz`: the log can be read and written, tried. Answers `{"status": "ready"}`, else 503 with the reason. */
export function readyz(readiness: Readiness, devices: Devices): Handler {
  return async (request, response) => {
    new Query(request.url, []).check();
    if (devices.ending) throw unavailable('Not ready: the service is shutting down.', 2);
    try {
      await readiness.check();
    } catch (error) {
      throw error instanceof LogUnavailable ? unavailable(`Not ready: ${error.message}.`, 2) : error;
    }
    sendJson(response, '{"status":"ready"}');
  };
}

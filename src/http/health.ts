import type { RequestHandler } from 'express';
import { unavailable } from '../errors.ts';
import type { Devices } from '../hub/devices.ts';
import { LogUnavailable, type MessageLog } from '../log/message-log.ts';
import { Query } from './query.ts';

/** `GET /healthz`: the process lives. Answers `{"status": "ok"}`. */
export const healthz: RequestHandler = (request, response) => {
  new Query(request.url, []).check();
  response.json({ status: 'ok' });
};

/** A disk that takes longer than this to answer is not ready. */
const PROBE_MILLISECONDS = 2000;

/** One probe, an fsync, serves all who ask within this time: the endpoint needs no token. */
const FRESH_MILLISECONDS = 1000;

/** `GET /readyz`: the log can be read and written, tried. Answers `{"status": "ready"}`, else 503 with the reason. */
export function readyz(log: MessageLog, devices: Devices): RequestHandler {
  let probed = -Infinity;
  let probe = Promise.resolve();
  return async (request, response) => {
    new Query(request.url, []).check();
    if (devices.ending) throw unavailable('Not ready: the service is shutting down.', 2);
    if (performance.now() - probed > FRESH_MILLISECONDS) {
      probed = performance.now();
      probe = log.probe();
    }
    try {
      await withTimeout(probe);
    } catch (error) {
      throw error instanceof LogUnavailable ? unavailable(`Not ready: ${error.message}.`, 2) : error;
    }
    response.json({ status: 'ready' });
  };
}

async function withTimeout(probe: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new LogUnavailable(`the disk does not answer within ${PROBE_MILLISECONDS} ms`)),
      PROBE_MILLISECONDS,
    );
  });
  try {
    await Promise.race([probe, late]);
  } finally {
    clearTimeout(timer);
  }
}

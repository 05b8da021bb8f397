import type { Hub } from '../hub/hub.ts';
import type { RefusalCounters } from './counters/refusal-counters.ts';
import type { LogMetrics } from '../log/log-metrics.ts';
import type { Instruments } from './instruments.ts';

/** Measures publishes, deliveries, replays, refusals and dropped connections. */
export function measureDeliveries(
  instruments: Instruments,
  parts: {
    log: LogMetrics;
    hub: Hub;
    refusals: RefusalCounters;
    http: { readonly unreadable: number; readonly stalled: number };
  },
): void {
  const { log, hub, refusals, http } = parts;
  const { deliveries } = hub;
  instruments.counters(
    'tidings_publishes_total',
    'Publishes that were accepted, by result: stored (at least one message is new), repeated (nothing is new), ephemeral (not stored).',
    ['result'],
    () => [
      [{ result: 'stored' }, log.counts.stored],
      [{ result: 'repeated' }, log.counts.repeated],
      [{ result: 'ephemeral' }, deliveries.ephemeral],
    ],
  );
  instruments.counter(
    'tidings_messages_stored_total',
    'Messages that were stored in the log.',
    () => log.counts.messages,
  );
  instruments.counters(
    'tidings_messages_delivered_total',
    'Messages written to live streams, once for each stream, by kind: stored, ephemeral.',
    ['kind'],
    () => [
      [{ kind: 'stored' }, deliveries.delivered],
      [{ kind: 'ephemeral' }, deliveries.ephemeralDelivered],
    ],
  );
  instruments.counter(
    'tidings_messages_replayed_total',
    'Messages written to streams from the log, once for each stream: to devices that reconnected, and to slow ones.',
    () => deliveries.replayed,
  );
  instruments.counters(
    'tidings_requests_refused_total',
    'Requests that were refused, by reason (internal: the service failed) and HTTP status. Status 200 (an event stream) and 101 (a WebSocket) mean that the refusal was sent in the stream.',
    ['reason', 'status'],
    () =>
      Array.from(refusals.counts, ({ reason, status, count }) => [{ reason, status: `${status}` }, count]),
  );
  instruments.counters(
    'tidings_connections_dropped_total',
    'Connections that the service cut, by reason: unreadable (not HTTP, a header that is too long, a request that is too slow, or a body in too many chunks), stalled (the client read nothing of its answer or stream, or did not answer a ping), failed (the log of a stream could not be read).',
    ['reason'],
    () => [
      [{ reason: 'unreadable' }, http.unreadable],
      [{ reason: 'stalled' }, deliveries.ended.stalled + http.stalled],
      [{ reason: 'failed' }, deliveries.ended.failed],
    ],
  );
}

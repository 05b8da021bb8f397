import type { Hub } from '../hub/hub.ts';
import type { Refusals } from '../http/refusals.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { Instruments } from './instruments.ts';

/** What comes in and goes out: publishes, deliveries, replays, refusals. */
export function measureTraffic(
  instruments: Instruments,
  parts: {
    log: MessageLog;
    hub: Hub;
    refusals: Refusals;
    http: { readonly unreadable: number; readonly stalled: number };
  },
): void {
  const { log, hub, refusals, http } = parts;
  const { traffic } = hub;
  instruments.counters(
    'tidings_publishes_total',
    'Publish requests that were taken, by result: stored (at least one message is new), repeated (nothing is new), ephemeral (not to be stored).',
    ['result'],
    () => [
      [{ result: 'stored' }, log.counts.stored],
      [{ result: 'repeated' }, log.counts.repeated],
      [{ result: 'ephemeral' }, traffic.ephemeral],
    ],
  );
  instruments.counter(
    'tidings_messages_stored_total',
    'Messages that were stored in the log.',
    () => log.counts.messages,
  );
  instruments.counters(
    'tidings_deliveries_total',
    'Messages written to streams as they happened, one for each stream that got one, by kind: stored, ephemeral.',
    ['kind'],
    () => [
      [{ kind: 'stored' }, traffic.delivered],
      [{ kind: 'ephemeral' }, traffic.ephemeralDelivered],
    ],
  );
  instruments.counter(
    'tidings_messages_replayed_total',
    'Messages written to streams out of the log, one for each stream that got one: to devices that came back, and to slow ones.',
    () => traffic.replayed,
  );
  instruments.counters(
    'tidings_requests_refused_total',
    'Requests that were refused, by reason (internal: the service failed) and HTTP status; 200 (an event stream) and 101 (a WebSocket) are those that were sent away in band.',
    ['reason', 'status'],
    () =>
      Array.from(refusals.counts, ({ reason, status, count }) => [{ reason, status: `${status}` }, count]),
  );
  instruments.counters(
    'tidings_connections_dropped_total',
    'Connections that the service cut, by reason: unreadable (no HTTP, too much header, too slow a request, or a body in too many pieces), stalled (a client that took no bytes of its answer or stream, or answered no ping), failed (a stream whose log cannot be read).',
    ['reason'],
    () => [
      [{ reason: 'unreadable' }, http.unreadable],
      [{ reason: 'stalled' }, traffic.ended.stalled + http.stalled],
      [{ reason: 'failed' }, traffic.ended.failed],
    ],
  );
}

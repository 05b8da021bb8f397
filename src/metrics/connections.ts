import type { Connections } from '../hub/connections.ts';
import type { Hub } from '../hub/hub.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { LogMetrics } from '../log/log-metrics.ts';
import type { ByeReason } from '../wire/server-events.ts';
import type { Instruments } from './instruments.ts';

/** A snapshot of all open connections. */
interface Survey {
  /** The number of connections by protocol and state. */
  readonly open: {
    readonly sse: Record<State, number>;
    readonly websocket: Record<State, number>;
    readonly poll: Record<State, number>;
  };
  buffered: number;
  lag: number;
}

/** The reasons for closing a stream that occur only in a cluster. */
const OF_CLUSTERS: ReadonlySet<string> = new Set<ByeReason>(['behind', 'disconnected']);

/** A value, and its labels. */
type Sample = [{ protocol: string; state: State }, number];

type State = 'waiting' | 'replaying' | 'live' | 'polling' | 'closed';

/** Measures open connections: their number, their states, and how far behind they are. */
export function measureConnections(
  instruments: Instruments,
  {
    log,
    hub,
    connections,
    scheduler,
    isCluster,
  }: {
    log: LogMetrics;
    hub: Hub;
    connections: Connections;
    scheduler: FairScheduler;
    isCluster: boolean;
  },
): void {
  let running: Promise<Survey> | undefined;
  // Gauges of one scrape share a survey: there may be many connections.
  const survey = (): Promise<Survey> =>
    (running ??= surveyOf(connections, log.head, scheduler).finally(() => (running = undefined)));
  instruments.gauges(
    'tidings_connections',
    'Open connections, by protocol: sse (Server-Sent Events), websocket, poll (a held poll); and by state: waiting (its cursor is ahead of this node), replaying (a stream that is being sent its backlog), live (a stream), polling.',
    ['protocol', 'state'],
    async () => {
      const { sse, websocket, poll } = (await survey()).open;
      const waiting = Object.entries({ sse, websocket, poll }).map(([protocol, states]): Sample => {
        return [{ protocol, state: 'waiting' }, states.waiting];
      });
      return [
        [{ protocol: 'sse', state: 'replaying' }, sse.replaying],
        [{ protocol: 'sse', state: 'live' }, sse.live],
        [{ protocol: 'websocket', state: 'replaying' }, websocket.replaying],
        [{ protocol: 'websocket', state: 'live' }, websocket.live],
        [{ protocol: 'poll', state: 'polling' }, poll.polling],
        ...(isCluster ? waiting : []),
      ];
    },
  );
  instruments.gauge(
    'tidings_connections_limit',
    'The limit on streams and held polls that are open at once (MAX_STREAMS).',
    () => connections.limits.total,
  );
  instruments.gauge(
    'tidings_replay_lag_ids',
    'How far the slowest replay is behind the head of the log, in ids of the whole log; 0 if none is running.',
    async () => (await survey()).lag,
  );
  instruments.gauge(
    'tidings_send_buffer_bytes',
    'Bytes in memory that wait for the sockets of all open streams.',
    async () => (await survey()).buffered,
  );
  instruments.counter('tidings_streams_opened_total', 'Streams that were opened.', () => {
    return hub.deliveries.opened;
  });
  instruments.counters(
    'tidings_streams_closed_total',
    'Streams that were closed, by reason: client (the client closed it), stalled, failed (see tidings_connections_dropped_total), or the reason in its bye event.',
    ['reason'],
    () =>
      Object.entries(hub.deliveries.ended)
        .filter(([reason]) => isCluster || !OF_CLUSTERS.has(reason))
        .map(([reason, count]) => [{ reason }, count]),
  );
}

async function surveyOf(connections: Connections, head: number, scheduler: FairScheduler): Promise<Survey> {
  const none = { waiting: 0, replaying: 0, live: 0, polling: 0, closed: 0 };
  const survey: Survey = {
    open: { sse: { ...none }, websocket: { ...none }, poll: { ...none } },
    buffered: 0,
    lag: 0,
  };
  const steps = function* (): Generator {
    for (const connection of connections.open) {
      survey.open[connection.protocol][connection.state]++;
      survey.buffered += connection.buffered;
      survey.lag = Math.max(survey.lag, connection.behind(head));
      yield;
    }
  };
  await scheduler.run(steps());
  return survey;
}

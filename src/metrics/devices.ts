import type { Devices } from '../hub/devices.ts';
import type { Hub } from '../hub/hub.ts';
import type { Turns } from '../hub/turns.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { Instruments } from './instruments.ts';

/** All open devices at one moment. */
interface Survey {
  readonly streams: { sse: number; websocket: number; poll: number };
  readonly states: { replaying: number; live: number; polling: number; closed: number };
  buffered: number;
  behind: number;
}

/** Who is connected, what they are doing, and how far behind they are. */
export function measureDevices(
  instruments: Instruments,
  { log, hub, devices, turns }: { log: MessageLog; hub: Hub; devices: Devices; turns: Turns },
): void {
  let looking: Promise<Survey> | undefined;
  // Gauges that are read together look at all devices together: there may be many of them.
  const look = (): Promise<Survey> =>
    (looking ??= lookAt(devices, log.head, turns).finally(() => (looking = undefined)));
  instruments.gauges(
    'tidings_devices',
    'Open devices, by what they do: replaying (a stream that is sent its backlog), live (a stream), polling (a held poll).',
    ['state'],
    async () => {
      const { replaying, live, polling } = (await look()).states;
      return [
        [{ state: 'replaying' }, replaying],
        [{ state: 'live' }, live],
        [{ state: 'polling' }, polling],
      ];
    },
  );
  instruments.gauges(
    'tidings_streams',
    'Open streams, by protocol: sse (Server-Sent Events), websocket.',
    ['protocol'],
    async () => {
      const { sse, websocket } = (await look()).streams;
      return [
        [{ protocol: 'sse' }, sse],
        [{ protocol: 'websocket' }, websocket],
      ];
    },
  );
  instruments.gauge(
    'tidings_replay_lag_ids',
    'How far the device that is furthest behind is behind the head of the log, in ids of the whole log; 0 where none is replaying.',
    async () => (await look()).behind,
  );
  instruments.gauge(
    'tidings_outbox_bytes',
    'Bytes that wait in memory for the sockets of all open streams.',
    async () => (await look()).buffered,
  );
  instruments.gauge(
    'tidings_devices_limit',
    'How many streams and held polls may be open at once (MAX_STREAMS).',
    () => devices.limits.inAll,
  );
  instruments.counter('tidings_streams_opened_total', 'Streams that were opened.', () => {
    return hub.traffic.opened;
  });
  instruments.counters(
    'tidings_streams_ended_total',
    'Streams that are over, by reason: client (it went), stalled, failed (see the dropped connections), or that of the bye event.',
    ['reason'],
    () => Object.entries(hub.traffic.ended).map(([reason, count]) => [{ reason }, count]),
  );
}

async function lookAt(devices: Devices, head: number, turns: Turns): Promise<Survey> {
  const survey: Survey = {
    streams: { sse: 0, websocket: 0, poll: 0 },
    states: { replaying: 0, live: 0, polling: 0, closed: 0 },
    buffered: 0,
    behind: 0,
  };
  const steps = function* (): Generator {
    for (const device of devices.open) {
      survey.streams[device.protocol]++;
      survey.states[device.state]++;
      survey.buffered += device.buffered;
      survey.behind = Math.max(survey.behind, device.behind(head));
      yield;
    }
  };
  await turns.run(steps());
  return survey;
}

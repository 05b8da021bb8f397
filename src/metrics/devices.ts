import type { Devices } from '../hub/devices.ts';
import type { Hub } from '../hub/hub.ts';
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
  { log, hub, devices }: { log: MessageLog; hub: Hub; devices: Devices },
): void {
  let survey = look(devices, 0);
  // The first of these gauges that is read looks at all devices, for those after it too: there may be many of them.
  instruments.gauges(
    'tidings_devices',
    'Open devices, by what they do: replaying (a stream that is sent its backlog), live (a stream), polling (a held poll).',
    ['state'],
    () => {
      survey = look(devices, log.head);
      const { replaying, live, polling } = survey.states;
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
    () => {
      const { sse, websocket } = survey.streams;
      return [
        [{ protocol: 'sse' }, sse],
        [{ protocol: 'websocket' }, websocket],
      ];
    },
  );
  instruments.gauge(
    'tidings_replay_lag_ids',
    'How far the device that is furthest behind is behind the head of the log, in ids of the whole log; 0 where none is replaying.',
    () => survey.behind,
  );
  instruments.gauge(
    'tidings_outbox_bytes',
    'Bytes that wait in memory for the sockets of all open streams.',
    () => survey.buffered,
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

function look(devices: Devices, head: number): Survey {
  const survey: Survey = {
    streams: { sse: 0, websocket: 0, poll: 0 },
    states: { replaying: 0, live: 0, polling: 0, closed: 0 },
    buffered: 0,
    behind: 0,
  };
  for (const device of devices.open) {
    survey.streams[device.protocol]++;
    survey.states[device.state]++;
    survey.buffered += device.buffered;
    survey.behind = Math.max(survey.behind, device.behind(head));
  }
  return survey;
}

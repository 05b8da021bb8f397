/** One device abstraction over the protocols by which a device gets its messages, and what each does not have. */
import { expect } from '@jest/globals';
import { type Answer, request, type WireMessage } from './api.ts';
import type { StreamEvent } from './device.ts';
import { PollingDevice } from './polling-device.ts';
import { expectProblem } from './problems.ts';
import { RawDevice } from './raw-device.ts';
import { RawSocket } from './raw-socket.ts';
import { SocketDevice } from './socket-device.ts';
import { DeviceStream } from './stream.ts';

export interface Device {
  readonly messages: readonly WireMessage[];
  readonly ids: readonly number[];
  readonly cursor: string | undefined;
  /** The gap that it was told of. */
  readonly gap: unknown;
  /** All that came, of a stream. */
  readonly events: readonly StreamEvent[];
  readonly retries: readonly number[];
  /** The answer that ended a device without a stream. */
  readonly refusal?: Answer | undefined;
  waitForMessages(count: number): Promise<readonly WireMessage[]>;
  waitForEnd(): Promise<void>;
  cut(): void;
}

/** A device on a bare socket, which can take nothing. */
export interface StallingDevice {
  readonly ids: readonly number[];
  readonly said: readonly StreamEvent[];
  readonly cursor: string | undefined;
  wake(): void;
  waitFor(event: string): Promise<StreamEvent>;
  waitForMessages(count: number): Promise<void>;
  waitForEnd(): Promise<void>;
  cut(): void;
}

/** The begin of a device: after a cursor, with a number of the newest messages, or now. */
interface Begin {
  readonly cursor?: string;
  readonly last?: number;
}

type Headers = Readonly<Record<string, string>>;

/** The parts that protocols with streams have, and polling lacks. */
export interface Streaming {
  /** Opens a device with a query of any form, and waits for nothing. */
  openWith(origin: string, query: string, headers: Headers): Promise<Device>;
  /** Headers by which a client says that it would not see a status. */
  readonly inBand: Headers;
  stalling(port: number, query: string): Promise<StallingDevice>;
}

export interface Protocol {
  readonly name: string;
  /** Opens a device, and waits until its replay has ended. Fails if it is refused. */
  open(origin: string, inboxes: readonly string[], begin?: Begin, headers?: Headers): Promise<Device>;
  /** The same, without waiting for the replay. */
  begin(origin: string, inboxes: readonly string[], begin: Begin): Promise<Device>;
  /** Asks with a query for what is to be refused. */
  refused(origin: string, query: string, headers?: Headers): Promise<Answer>;
  /** `undefined`: it has none of that. */
  readonly streaming: Streaming | undefined;
}

function queryOf(inboxes: readonly string[], { cursor, last }: Begin): string {
  const query = new URLSearchParams(inboxes.map((inbox): [string, string] => ['recipient', inbox]));
  if (cursor !== undefined) query.set('lastEventId', cursor);
  if (last !== undefined) query.set('last', String(last));
  return query.toString();
}

function streaming<One extends DeviceStream | SocketDevice>(
  open: (origin: string, query: string, options: { headers: Headers }) => Promise<One>,
): Pick<Protocol, 'open' | 'begin'> {
  return {
    open: async (origin, inboxes, begin = {}, headers = {}) => {
      const device = await open(origin, queryOf(inboxes, begin), { headers });
      await device.waitFor('live');
      return device;
    },
    begin: (origin, inboxes, begin) => open(origin, queryOf(inboxes, begin), { headers: {} }),
  };
}

/** Returns the events from the server itself to a device, by their name. */
export function said({ events }: Device, name: string): readonly StreamEvent[] {
  return events.filter(({ event }) => event === name);
}

const serverSentEvents: Protocol = {
  name: 'Server-Sent Events',
  ...streaming((origin, query, options) => DeviceStream.open(origin, query, options)),
  refused: (origin, query, headers = {}) => request(`${origin}/stream?${query}`, { headers }),
  streaming: {
    openWith: (origin, query, headers) => DeviceStream.open(origin, query, { headers }),
    inBand: { Accept: 'text/event-stream' },
    stalling: (port, query) => RawDevice.open(port, query, { asleep: true }),
  },
};

const webSocket: Protocol = {
  name: 'WebSocket',
  ...streaming((origin, query, options) => SocketDevice.open(origin, query, options)),
  refused: (origin, query, headers = {}) => SocketDevice.refused(origin, query, { headers }),
  streaming: {
    openWith: (origin, query, headers) => SocketDevice.open(origin, query, { headers }),
    inBand: { Origin: 'http://localhost' },
    stalling: (port, query) => RawSocket.open(port, query, { asleep: true }),
  },
};

const longPolling: Protocol = {
  name: 'long polling',
  open: async (origin, inboxes, begin = {}, headers = {}) => {
    const device = await PollingDevice.open(origin, inboxes, { ...begin, headers });
    if (device.refusal !== undefined) throw new Error(`refused: ${device.refusal.status}`);
    return device;
  },
  begin: (origin, inboxes, begin) => PollingDevice.open(origin, inboxes, begin),
  refused: (origin, query, headers = {}) =>
    request(`${origin}/messages?${query.replace('lastEventId', 'after')}&wait=60`, { headers }),
  streaming: undefined,
};

export const PROTOCOLS: readonly Protocol[] = [serverSentEvents, webSocket, longPolling];

/** Asserts how a device that was open has ended: by `bye`, where its protocol has that, else by what it gets next. */
export async function expectEnded(
  { streaming }: Protocol,
  connection: Device,
  reason: 'shutdown' | 'token-expired',
): Promise<void> {
  await connection.waitForEnd();
  if (streaming !== undefined) {
    const [bye] = said(connection, 'bye');
    expect(bye).toMatchObject({ event: 'bye', id: connection.cursor, data: { type: 'bye', reason } });
    return;
  }
  // Once the service has ended there is nobody to refuse.
  if (reason === 'token-expired' || connection.refusal !== undefined) {
    expectProblem(connection.refusal as Answer, reason === 'shutdown' ? 503 : 401, []);
  }
}

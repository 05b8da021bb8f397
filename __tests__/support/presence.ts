/** The presence of addresses, as a server shows it to those who ask, and to those who watch. */
import { get } from './api.ts';
import type { Server } from './server.ts';
import type { DeviceStream } from './stream.ts';

/** The presence of an address. */
export interface Presence {
  readonly online: boolean;
  readonly devices: number;
  readonly lastSeen: string | null;
}

/** Asks for the presence of an address. */
export async function presenceOf({ url }: Server, address: string): Promise<Presence | undefined> {
  const answer = await get(url, `/presence?recipient=${encodeURIComponent(address)}`);
  return (answer.body as Record<string, Presence>)[address];
}

/** Returns the events of presence about an address that a stream got, in order. */
export function told(device: DeviceStream, address: string): (Presence & { recipient: string })[] {
  return device.events
    .filter(({ event }) => event === 'presence')
    .map(({ data }) => data as Presence & { recipient: string })
    .filter(({ recipient }) => recipient === address);
}

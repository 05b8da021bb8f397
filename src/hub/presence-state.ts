/** Whether an address has a device: an open stream or a held poll that follows it. */
export interface PresenceState {
  readonly online: boolean;
  readonly devices: number;
  /** When a device was last there, as milliseconds since the Unix epoch; `null` if none was since the start. */
  readonly lastSeen: number | null;
}

/** A state as clients see it. */
export interface WirePresence {
  readonly online: boolean;
  readonly devices: number;
  readonly lastSeen: string | null;
}

/** A state with its time as text. */
export function toWire({ online, devices, lastSeen }: PresenceState): WirePresence {
  return { online, devices, lastSeen: lastSeen === null ? null : new Date(lastSeen).toISOString() };
}

/** The presence of an address. It is online while a stream is open or a poll is held that follows it. */
export interface PresenceState {
  readonly online: boolean;
  readonly devices: number;
  /** When it was last online, in milliseconds since the Unix epoch; `null` if it has not been since the start. */
  readonly lastSeen: number | null;
}

/** The presence of an address in the form that clients see. */
export interface WirePresence {
  readonly online: boolean;
  readonly devices: number;
  readonly lastSeen: string | null;
}

/** Returns a state with its time as text. */
export function toWire({ online, devices, lastSeen }: PresenceState): WirePresence {
  return { online, devices, lastSeen: lastSeen === null ? null : new Date(lastSeen).toISOString() };
}

/** The presence of an address. It is online while an open stream or a held poll follows it. */
export interface PresenceState {
  readonly online: boolean;
  readonly devices: number;
  /**
   * The time at which it was last online, in milliseconds since the Unix epoch; `null` if it has not been online since
   * the start.
   */
  readonly lastSeen: number | null;
}

/** The presence of an address in the form that clients see. */
export interface WirePresence {
  readonly online: boolean;
  readonly devices: number;
  readonly lastSeen: string | null;
}

/** Converts a state to the form that clients see. */
export function toWire({ online, devices, lastSeen }: PresenceState): WirePresence {
  return { online, devices, lastSeen: lastSeen === null ? null : new Date(lastSeen).toISOString() };
}

import type { Draft, Message } from '../message.ts';
import type { EventFields, ServerEvents } from './server-events.ts';

/** How what is said on a stream stands on the wire: text first, since a page of it is made bytes in one go. */
export interface Framing {
  /** The name of the protocol, for metrics. */
  readonly protocol: 'sse' | 'websocket';
  /** A stored message, and the device's position after it. */
  message(message: Message, cursor: string): string;
  /** A message that is not stored: it has no position. */
  ephemeral(draft: Draft): string;
  /** Something that the server says. */
  event<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name], fields?: EventFields): string;
  /** How many bytes a frame of this text is. */
  byteLength(text: string): number;
  /** The frames of these texts, one after the other. */
  encode(texts: readonly string[]): Buffer;
}

import type { EphemeralMessage, Message } from '../message.ts';
import type { EventFields, ServerEvents } from './server-events.ts';

/** The form of a stream on the wire. Frames are texts at first, so that a page of them is encoded at once. */
export interface Framing {
  /** The name of the protocol, for metrics. */
  readonly protocol: 'sse' | 'websocket';
  /** Returns the text of a stored message. @param cursor the client's position after the message */
  message(message: Message, cursor: string): string;
  /** Returns the text of an ephemeral message, which has no position. */
  ephemeral(message: EphemeralMessage): string;
  /** Returns the text of an event of the server. */
  event<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name], fields?: EventFields): string;
  /** Returns the length of the frame of a text, in bytes. */
  byteLength(text: string): number;
  /** Returns the frames of these texts, one after the other. */
  encode(texts: readonly string[]): Buffer;
}

import { type Message, MESSAGE_TYPE } from '../message.ts';

/** Push services take 4096 bytes of what is encrypted (RFC 8291 §4), and its frame takes some of them. */
const MAX_PAYLOAD_BYTES = 3072;

/** What a notification says beside its message. */
export interface NotificationFacts {
  /** The conversation, as the reader calls it: whom they talk to, or the room. */
  readonly peer: string;
  readonly cursor: string;
  /** What is unread on the device, in all. */
  readonly unread: number;
}

/** What a device is told of a message, as JSON text. Longer content is shortened, and the payload says so. */
export function messagePayload(message: Message, { peer, cursor, unread }: NotificationFacts): string {
  const { recipient, sender, id } = message;
  const messageType = message.type === MESSAGE_TYPE ? undefined : message.type;
  const createdAt = new Date(message.createdAt).toISOString();
  const facts = JSON.stringify({
    type: 'message',
    messageType,
    recipient,
    sender,
    peer,
    id,
    cursor,
    createdAt,
    unread,
  });
  const withContent = (content: string): string => `${facts.slice(0, -1)},"content":${content}}`;
  const whole = withContent(message.content);
  if (Buffer.byteLength(whole) <= MAX_PAYLOAD_BYTES) return whole;
  const room = MAX_PAYLOAD_BYTES - Buffer.byteLength(withContent(',"shortened":true'));
  return withContent(`${JSON.stringify(cut(textOf(message.content), room))},"shortened":true`);
}

/** What a device is told of a conversation that was read elsewhere, as JSON text. */
export function readPayload(facts: {
  readonly recipient: string;
  readonly peer: string;
  readonly through: number;
  readonly unread: number;
}): string {
  return JSON.stringify({ type: 'read', ...facts });
}

/** A string as it is; of anything else its JSON, since a part of that is no JSON any more. */
function textOf(content: string): string {
  const value: unknown = JSON.parse(content);
  return typeof value === 'string' ? value : content;
}

/** The beginning of a text whose JSON takes at most so many bytes, cut between two characters. */
function cut(text: string, bytes: number): string {
  let taken = '';
  let left = bytes - 2;
  for (const character of text) {
    left -= Buffer.byteLength(JSON.stringify(character)) - 2;
    if (left < 0) break;
    taken += character;
  }
  return taken;
}

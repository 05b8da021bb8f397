import { type Message, MESSAGE_TYPE } from '../message.ts';

/** Push services accept 4096 bytes of encrypted content (RFC 8291 §4), including its header and padding. */
const MAX_PAYLOAD_BYTES = 3072;

/** Facts in a notification besides its message. */
export interface NotificationFacts {
  /** The conversation, by its name for the reader: the other person, or the room. */
  readonly peer: string;
  readonly cursor: string;
  /** The number of unread messages on the device. */
  readonly unread: number;
}

/** Returns the notification of a message, as JSON text. Long content is shortened, and the payload says so. */
export function messagePayload(message: Message, { peer, cursor, unread }: NotificationFacts): string {
  const { recipient, sender, id } = message;
  const messageType = message.type === MESSAGE_TYPE ? undefined : message.type;
  const createdAt = new Date(message.createdAt).toISOString();
  const expiresAt = message.expiresAt === null ? undefined : new Date(message.expiresAt).toISOString();
  const facts = JSON.stringify({
    type: 'message',
    messageType,
    recipient,
    sender,
    peer,
    id,
    cursor,
    createdAt,
    expiresAt,
    unread,
  });
  const withContent = (content: string): string => `${facts.slice(0, -1)},"content":${content}}`;
  const whole = withContent(message.content);
  if (Buffer.byteLength(whole) <= MAX_PAYLOAD_BYTES) return whole;
  const room = MAX_PAYLOAD_BYTES - Buffer.byteLength(withContent(',"shortened":true'));
  return withContent(`${JSON.stringify(cut(textOf(message.content), room))},"shortened":true`);
}

/** Returns the notice that a conversation was read elsewhere, as JSON text. */
export function readPayload(facts: {
  readonly recipient: string;
  readonly peer: string;
  readonly through: number;
  readonly unread: number;
}): string {
  return JSON.stringify({ type: 'read', ...facts });
}

/** Returns a string as it is, and any other value as its JSON text: a part of its JSON would not be valid JSON. */
function textOf(content: string): string {
  const value: unknown = JSON.parse(content);
  return typeof value === 'string' ? value : content;
}

/** Returns the longest beginning of a text whose JSON has at most `bytes` bytes, cut between two characters. */
function cut(text: string, bytes: number): string {
  let kept = '';
  let left = bytes - 2;
  for (const character of text) {
    left -= Buffer.byteLength(JSON.stringify(character)) - 2;
    if (left < 0) break;
    kept += character;
  }
  return kept;
}

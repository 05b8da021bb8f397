/** A message as it is handed to the log: everything but its `id`. */
export interface Draft {
  readonly sender: string;
  readonly recipient: string;
  /** What the application calls it; `message` unless it says otherwise, `read` for a read marker. */
  readonly type: string;
  /** The content as JSON text: stored, sent and answered as it is, never parsed on the way. */
  readonly content: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly idempotencyKey: string | null;
  /** Milliseconds since the Unix epoch; past it the message is not shown to anyone. */
  readonly expiresAt: number | null;
  /**
   * Of a read marker: whether whoever publishes it may read the inbox of its recipient, as a member of a room may. It is
   * not stored: it decides which newest message a marker ahead of the log is set to.
   */
  readonly readsRecipient?: boolean;
}

/** A message that stands in the log. */
export interface Message extends Draft {
  readonly id: number;
}

/** The type that the conversations are made of. */
export const MESSAGE_TYPE = 'message';

/** The type of a read marker: `content` is `{"messageId": n}`, and the log keeps only those that move ahead. */
export const READ_TYPE = 'read';

/**
 * Whether a message is past its `expiresAt`.
 *
 * @param now milliseconds since the Unix epoch
 */
export function isExpired(message: { readonly expiresAt: number | null }, now: number): boolean {
  return message.expiresAt !== null && message.expiresAt <= now;
}

/**
 * A draft as a message of the log. Written out: a spread of the draft costs the fan-out a fifth of its time, and gives
 * objects of another shape.
 */
export function withId(id: number, draft: Draft): Message {
  return {
    id,
    sender: draft.sender,
    recipient: draft.recipient,
    type: draft.type,
    content: draft.content,
    createdAt: draft.createdAt,
    idempotencyKey: draft.idempotencyKey,
    expiresAt: draft.expiresAt,
  };
}

/** A message as JSON text, in the order of fields that the protocol shows. Without line breaks: JSON escapes them. */
export function messageJson(message: Message): string {
  return `{"id":${message.id},${fieldsJson(message)}`;
}

/** A draft that is never stored as JSON text: a message without `id`. */
export function draftJson(draft: Draft): string {
  return `{${fieldsJson(draft)}`;
}

let lastIso = { at: 0, text: new Date(0).toISOString() };

/** Of a batch all have the same time, and of a burst most. */
function toIso(at: number): string {
  if (at !== lastIso.at) lastIso = { at, text: new Date(at).toISOString() };
  return lastIso.text;
}

function fieldsJson(draft: Draft): string {
  let json =
    `"sender":${JSON.stringify(draft.sender)},"recipient":${JSON.stringify(draft.recipient)},` +
    `"type":"${draft.type}","content":${draft.content},"createdAt":"${toIso(draft.createdAt)}"`;
  if (draft.idempotencyKey !== null) json += `,"idempotencyKey":${JSON.stringify(draft.idempotencyKey)}`;
  if (draft.expiresAt !== null) json += `,"expiresAt":"${new Date(draft.expiresAt).toISOString()}"`;
  return `${json}}`;
}

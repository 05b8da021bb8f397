/** A message as it is handed to the log: everything but its `id`. A new field is added in this file alone. */
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
   * 1 if it is in streams and history, and that is all: not unread, no conversation, no notification; else 0. `null` for
   * messages from before there was this field: of these only those of type `message` count.
   */
  readonly background: 0 | 1 | null;
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

/** The type of a message that its publisher gave none. */
export const MESSAGE_TYPE = 'message';

/** The type of a read marker: `content` is `{"messageId": n}`, and the log keeps only those that move ahead. */
export const READ_TYPE = 'read';

/** What is stored of a message: its columns, in their order. */
export const MESSAGE_FIELDS = [
  'id',
  'sender',
  'recipient',
  'type',
  'content',
  'createdAt',
  'idempotencyKey',
  'expiresAt',
  'background',
] as const satisfies readonly (keyof Message)[];

/**
 * Adds the fields of a draft to values, in the order of `MESSAGE_FIELDS` without the id. Written out: a list of lists,
 * made one, would cost more than is saved.
 */
export function pushFields(values: FieldValue[], draft: Draft): void {
  values.push(draft.sender, draft.recipient, draft.type, draft.content);
  values.push(draft.createdAt, draft.idempotencyKey, draft.expiresAt, draft.background);
}

/** What a field may be as a value. */
export type FieldValue = string | number | null;

/** Reads a draft from values, in the order of `pushFields`. @param next gives the next value */
export function takeFields(next: () => FieldValue | undefined): Draft {
  return {
    sender: next() as string,
    recipient: next() as string,
    type: next() as string,
    content: next() as string,
    createdAt: next() as number,
    idempotencyKey: next() as string | null,
    expiresAt: next() as number | null,
    background: next() as Draft['background'],
  };
}

/** Returns whether a message counts as unread, makes a conversation and notifies. */
export function counts({ type, background }: Pick<Draft, 'type' | 'background'>): boolean {
  return type !== READ_TYPE && (background === null ? type === MESSAGE_TYPE : background === 0);
}

/** The same of a row of messages, in SQL: 1 or 0. */
export const COUNTS = `(type <> '${READ_TYPE}' AND ifnull(background, type <> '${MESSAGE_TYPE}') = 0)`;

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
    background: draft.background,
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
  if (draft.background === 1) json += ',"background":true';
  return `${json}}`;
}

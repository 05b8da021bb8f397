import { hasAddressForm } from './address.ts';
import { isContent, KEY, markerFault, TTL, TYPE } from './message-rules.ts';

/** A message as its publisher gives it to the log, which adds the id and the times. */
export interface Draft {
  readonly sender: string;
  readonly recipient: string;
  /** The application's name for this kind of message: `message` by default, `read` for a read marker. */
  readonly type: string;
  /** The content as JSON text. It is stored, sent and answered as it is, and never parsed on the way. */
  readonly content: string;
  readonly idempotencyKey: string | null;
  /** Seconds until it expires; `null` if it does not. */
  readonly ttl: number | null;
  /**
   * 1: the message is in streams and history, but is not unread, makes no conversation and does not notify. 0: it does.
   * `null`: it was stored before this field existed, and counts only if its type is `message`.
   */
  readonly background: 0 | 1 | null;
  /**
   * For a read marker: whether its publisher may read the inbox of its recipient, as a member of a room may. It is not
   * stored. If the marker is ahead of the log, it decides which newest message the marker is set to.
   */
  readonly readsRecipient?: boolean;
}

/** A message of the log. */
export interface Message extends Omit<Draft, 'ttl' | 'readsRecipient'> {
  readonly id: number;
  /** Milliseconds since the Unix epoch. It does not decrease as ids grow, unless a clock was days ahead. */
  readonly createdAt: number;
  /** Milliseconds since the Unix epoch. From then on the message is not shown; `null` if it does not expire. */
  readonly expiresAt: number | null;
}

/** The times of the messages in one entry, in milliseconds since the Unix epoch. */
export interface MessageTimes {
  /** The time of their entry: their ttl begins here. */
  readonly time: number;
  /** Their `createdAt`: later than `time` if the clock was ahead before (log/replica/log-time.ts). */
  readonly createdAt: number;
}

/** A message for open streams only. It is not stored and has no id. */
export type EphemeralMessage = Omit<Message, 'id'>;

/** The type of a message whose publisher named none. */
export const MESSAGE_TYPE = 'message';

/** The type of a read marker. Its content is `{"messageId": n}`, and the log keeps only markers that move ahead. */
export const READ_TYPE = 'read';

/** Returns the value of a field as JSON text, or an empty text to leave the field out. */
type ToJson = (message: EphemeralMessage) => string;

/**
 * Every field of a message except its id. This is the one list: columns, rows, packed drafts and JSON are made from it,
 * all in this order, and the compiler refuses it if a field is missing.
 */
const FIELDS: { readonly [Field in keyof EphemeralMessage]: ToJson } = {
  sender: ({ sender }) => JSON.stringify(sender),
  recipient: ({ recipient }) => JSON.stringify(recipient),
  // It consists of a few ASCII characters, which need no escapes.
  type: ({ type }) => `"${type}"`,
  content: ({ content }) => content,
  createdAt: ({ createdAt }) => isoJson(createdAt),
  idempotencyKey: ({ idempotencyKey: key }) => (key === null ? '' : JSON.stringify(key)),
  expiresAt: ({ expiresAt }) => (expiresAt === null ? '' : isoJson(expiresAt)),
  background: ({ background }) => (background === 1 ? 'true' : ''),
};

const FIELD_NAMES = Object.keys(FIELDS) as (keyof typeof FIELDS)[];

/** The JSON of each field: its name, after a comma, and the function that returns its value. */
const JSON_FIELDS = FIELD_NAMES.map((name) => ({ name: `,"${name}":`, toJson: FIELDS[name] }));

/** The columns of a message, in order. */
export const MESSAGE_COLUMNS: readonly (keyof Message)[] = ['id', ...FIELD_NAMES];

/** The value of a column. */
export type ColumnValue = string | number | null;

/** The fields of a draft in the order of the columns. The log adds `createdAt`, and computes `expiresAt` from `ttl`. */
const DRAFT_FIELDS = FIELD_NAMES.filter((name) => name !== 'createdAt').map((name) =>
  name === 'expiresAt' ? 'ttl' : name,
);

/** The number of values of a packed draft. */
export const PACKED_FIELDS = DRAFT_FIELDS.length;

/** The index of each field among the values of a packed draft. */
const PACKED_AT = Object.fromEntries(DRAFT_FIELDS.map((name, index) => [name, index])) as Record<
  (typeof DRAFT_FIELDS)[number],
  number
>;

/** Appends the fields of a draft to a list of packed values. */
export function packDraft(values: ColumnValue[], draft: Draft): void {
  for (const field of DRAFT_FIELDS) values.push(draft[field]);
}

/** Returns the draft that `packDraft` packed, whose values begin at an index. */
export function unpackDraft(values: readonly ColumnValue[], at: number): Draft {
  return {
    sender: values[at + PACKED_AT.sender] as string,
    recipient: values[at + PACKED_AT.recipient] as string,
    type: values[at + PACKED_AT.type] as string,
    content: values[at + PACKED_AT.content] as string,
    idempotencyKey: values[at + PACKED_AT.idempotencyKey] as string | null,
    ttl: values[at + PACKED_AT.ttl] as number | null,
    background: values[at + PACKED_AT.background] as Draft['background'],
  };
}

/**
 * Returns whether publishing could have made this draft, which comes from elsewhere. The result depends only on the draft, so
 * all nodes of a cluster agree.
 */
export function isDraft(draft: { readonly [Field in keyof Draft]: unknown }): boolean {
  const { sender, recipient, type, content, idempotencyKey: key, ttl, background } = draft;
  return (
    hasAddressForm(sender) &&
    hasAddressForm(recipient) &&
    TYPE.fault(type) === undefined &&
    isContent(content) &&
    (key === null || KEY.fault(key) === undefined) &&
    (ttl === null || TTL.fault(ttl) === undefined) &&
    (background === null || background === 0 || background === 1) &&
    (type !== READ_TYPE ||
      (ttl === null && background !== 1 && markerFault(JSON.parse(content)) === undefined))
  );
}

/** Appends the row of a draft, in the order of `MESSAGE_COLUMNS`, to a list of values. */
export function pushRow(values: ColumnValue[], id: number, times: MessageTimes, draft: Draft): void {
  values.push(id);
  for (const field of FIELD_NAMES) {
    if (field === 'createdAt') values.push(times.createdAt);
    else if (field === 'expiresAt') values.push(expiryOf(draft, times));
    else values.push(draft[field]);
  }
}

/** Returns the time at which a draft expires, in milliseconds since the Unix epoch; `null` if it does not. */
function expiryOf({ ttl }: Draft, { time }: MessageTimes): number | null {
  return ttl === null ? null : time + ttl * 1000;
}

/** Returns whether a message counts as unread, makes a conversation and notifies. */
export function counts({ type, background }: Pick<Message, 'type' | 'background'>): boolean {
  return type !== READ_TYPE && (background === null ? type === MESSAGE_TYPE : background === 0);
}

/** The same rule for a row of messages in SQL: 1 or 0. */
export const COUNTS = `(type <> '${READ_TYPE}' AND ifnull(background, type <> '${MESSAGE_TYPE}') = 0)`;

/** The columns that `counts` and `COUNTS` look at. */
export const COUNTS_COLUMNS = 'type, background';

/** Returns whether a message has expired. @param now milliseconds since the Unix epoch */
export function isExpired(message: Pick<Message, 'expiresAt'>, now: number): boolean {
  return message.expiresAt !== null && message.expiresAt <= now;
}

/**
 * Returns a draft as the message that it became. Its fields are written out, since a spread of the draft would cost the
 * fan-out a fifth of its time and make objects of another shape.
 */
export function withId(id: number, times: MessageTimes, draft: Draft): Message {
  return {
    id,
    sender: draft.sender,
    recipient: draft.recipient,
    type: draft.type,
    content: draft.content,
    createdAt: times.createdAt,
    idempotencyKey: draft.idempotencyKey,
    expiresAt: expiryOf(draft, times),
    background: draft.background,
  };
}

/** Returns a draft as a message that is not stored. @param now milliseconds since the Unix epoch */
export function asEphemeral(draft: Draft, now: number): EphemeralMessage {
  return withId(0, { time: now, createdAt: now }, draft);
}

/** Returns a message as JSON text, its fields in the order that the protocol shows. JSON escapes line breaks. */
export function messageJson(message: Message): string {
  return `{"id":${message.id}${fieldsJson(message)}}`;
}

/** Returns a message without an id as JSON text, as `messageJson` does. */
export function ephemeralJson(message: EphemeralMessage): string {
  return `{${fieldsJson(message).slice(1)}}`;
}

/** Returns the fields of a message, each after a comma, since any of the first fields may be missing. */
function fieldsJson(message: EphemeralMessage): string {
  let json = '';
  for (const { name, toJson } of JSON_FIELDS) {
    const value = toJson(message);
    if (value !== '') json += name + value;
  }
  return json;
}

let lastIso = { at: 0, json: `"${new Date(0).toISOString()}"` };

/** Returns a time as JSON. It is cached: all messages of a batch have the same time, and so do most of a burst. */
function isoJson(at: number): string {
  if (at !== lastIso.at) lastIso = { at, json: `"${new Date(at).toISOString()}"` };
  return lastIso.json;
}

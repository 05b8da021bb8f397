import { ADDRESS } from '../address.ts';
import { GAPS } from '../log/cursor.ts';
import { type Message, READ_TYPE } from '../message.ts';
import { KEY, MARKER_SCHEMA, TYPE } from '../message-rules.ts';
import type { Conflict, MessageRules } from '../publish/message-fields.ts';
import { listOf, named, objectOf, optional, type Schema } from '../schema.ts';

/** The fields of a message that only some have. */
type MaybeField = 'idempotencyKey' | 'expiresAt' | 'background';

/** A message as clients see it: the fields of a stored message, except those that it does not have. */
type WireMessage = Record<Exclude<keyof Message, MaybeField>, unknown> & Partial<Record<MaybeField, unknown>>;

export const TIME: Schema = { type: 'string', format: 'date-time', examples: ['2026-11-21T01:23:45.678Z'] };

export const COUNT: Schema = { type: 'integer', minimum: 0 };

const MESSAGE_ID: Schema = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

const MESSAGE_FIELDS = {
  sender: named('Address'),
  recipient: named('Address'),
  type: TYPE.schema,
  content: { description: 'Any JSON value.' },
  createdAt: TIME,
  idempotencyKey: optional(KEY.schema),
  expiresAt: optional(TIME),
  background: optional({ const: true }),
};

/** The fields of each page of messages. */
interface Page {
  readonly messages: unknown;
  readonly cursor: unknown;
  readonly more: unknown;
}

/** Returns the schemas of messages, by name. @param rules the rules for checking a publish */
export function messageSchemas(rules: MessageRules): Readonly<Record<string, Schema>> {
  const draft = draftSchema(rules);
  const page = {
    messages: listOf(named('Message')),
    cursor: named('Cursor'),
    more: { type: 'boolean', description: 'Whether there is another page.' },
  };
  return {
    Address: {
      ...ADDRESS.schema,
      description:
        'A name that can send and receive, in NFC and without format characters. Addresses are compared byte for byte.',
      examples: ['alice'],
    },
    MessageId: { ...MESSAGE_ID, description: 'Ids grow over all addresses, and are never used again.' },
    Cursor: {
      type: 'string',
      pattern: '^(0|[1-9]\\d{0,15}-[0-9a-z]{1,16})$',
      description: 'A position in the log: an id, and the epoch in which the id was given.',
      examples: ['42-k3f9ab'],
    },
    Gap: {
      enum: GAPS,
      description: 'False if no message is missing before the next one; else the reason.',
    },
    Draft: draft,
    FormDraft: {
      ...draft,
      properties: { ...(draft['properties'] as object), content: { type: 'string' } },
      description: 'The fields of a draft. `content` is text here.',
    },
    Batch: {
      ...listOf(named('BatchDraft'), { minItems: 1, maxItems: rules.maxBatch }),
      description: 'A list of messages that is stored as a whole and in order, or not at all.',
    },
    BatchDraft: {
      ...draft,
      properties: withoutEphemeral(draft),
      description: 'A message of a batch, which is stored.',
    },
    Message: objectOf<WireMessage>({ id: named('MessageId'), ...MESSAGE_FIELDS }, 'A stored message.'),
    EphemeralMessage: objectOf<Omit<WireMessage, 'id'>>(MESSAGE_FIELDS, 'A message for open streams only.'),
    EphemeralOutcome: objectOf<{ devices?: unknown }>(
      { devices: optional({ ...COUNT, description: 'How many streams it was sent to.' }) },
      'The outcome of an ephemeral publish. `devices` is missing if the client may not see the presence of the recipient.',
    ),
    PageAfter: objectOf<Page & { gap: unknown }>(
      { ...page, gap: named('Gap') },
      'The messages after a cursor.',
    ),
    PageBefore: objectOf<Page & { before?: unknown }>(
      {
        ...page,
        before: optional({ ...MESSAGE_ID, description: 'The `before` of the next page, if there is one.' }),
      },
      'The messages before an id, oldest first.',
    ),
  };
}

/** Returns the schema of a message as its publisher sends it. */
function draftSchema({ fields, conflicts, maxContentBytes }: MessageRules): Schema {
  const all = Object.entries(fields);
  const { content } = fields;
  const properties = all.map(([name, { rule, description }]): [string, Schema] => [
    name,
    {
      ...(rule === content?.rule ? { 'x-maxBytes': maxContentBytes } : {}),
      ...schemaOf(rule.schema),
      description,
    },
  ]);
  return {
    type: 'object',
    description: 'A message as its publisher sends it.',
    properties: Object.fromEntries(properties),
    required: all.filter(([, { missing }]) => missing !== undefined).map(([name]) => name),
    additionalProperties: false,
    not: { anyOf: conflicts.map(conflictSchema) },
    if: { properties: { type: { const: READ_TYPE } }, required: ['type'] },
    then: { properties: { content: MARKER_SCHEMA } },
  };
}

/** Returns a reference for the schema that has a name of its own. */
function schemaOf(schema: Schema): Schema {
  return schema === ADDRESS.schema ? named('Address') : schema;
}

/** Returns the schema of the messages that a conflict refuses. */
function conflictSchema({ fields, at, message }: Conflict): Schema {
  const values = Object.entries(fields).map(([name, value]) => [
    name,
    value === undefined ? {} : { const: value },
  ]);
  return {
    description: `\`${at}\` ${message}.`,
    required: Object.keys(fields),
    properties: Object.fromEntries(values) as object,
  };
}

function withoutEphemeral({ properties }: Schema): Schema {
  return { ...(properties as Schema), ephemeral: { const: false } };
}

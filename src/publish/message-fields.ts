import { ADDRESS } from '../address.ts';
import { MESSAGE_TYPE, READ_TYPE } from '../message.ts';
import { KEY, TTL, TYPE } from '../message-rules.ts';
import { ANYTHING, BOOLEAN, type Rule } from '../rule.ts';

/** A field of a message as its publisher sends it. */
interface MessageField {
  readonly rule: Rule;
  /** The fault of a message without it; `undefined` if it may be left out. */
  readonly missing?: string;
  readonly description: string;
}

/** Fields that exclude each other. */
export interface Conflict {
  /** The value of each field in the conflict; `undefined` means any value. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The field that the fault is about. */
  readonly at: string;
  readonly message: string;
}

/** The rules for checking a publish. Its description is made from them, too. */
export interface MessageRules {
  readonly fields: Readonly<Record<string, MessageField>>;
  readonly conflicts: readonly Conflict[];
  /** The maximum size of content in a stream. */
  readonly maxContentBytes: number;
  readonly maxBatch: number;
}

const NOT_STORED = 'cannot be given with "ephemeral": such a message is not stored';

/** The rules of this service. Faults are reported in the order of the lists. */
export const MESSAGE_RULES: MessageRules = {
  fields: {
    sender: {
      rule: ADDRESS,
      description:
        "The address that sends it; by default the token's `sub`, in open mode `anonymous`. Needs the grant `sendAs`.",
    },
    recipient: {
      rule: ADDRESS,
      missing: 'is required: the address to send to',
      description: 'The address to send it to. Needs the grant `sendTo`.',
    },
    type: {
      rule: TYPE,
      description: `The kind of message; by default \`${MESSAGE_TYPE}\`. \`${READ_TYPE}\` is a read marker. Other types notify as well, unless \`background\` is true.`,
    },
    content: {
      rule: ANYTHING,
      missing: 'is required: any JSON value',
      description: 'Any JSON value.',
    },
    idempotencyKey: {
      rule: KEY,
      description:
        'A second publish with the same sender, recipient and key stores nothing, and is answered with the first message.',
    },
    ttl: {
      rule: TTL,
      description: 'Seconds after which the stored message expires. It is then shown to nobody.',
    },
    background: {
      rule: BOOLEAN,
      description:
        'True if it is only in streams and history: it is not unread, makes no conversation and does not notify.',
    },
    ephemeral: {
      rule: BOOLEAN,
      description: 'True if it is only for the streams that are live now, and not stored. Not in a batch.',
    },
  },
  conflicts: [
    { fields: { ephemeral: true, ttl: undefined }, at: 'ttl', message: NOT_STORED },
    { fields: { ephemeral: true, idempotencyKey: undefined }, at: 'idempotencyKey', message: NOT_STORED },
    { fields: { ephemeral: true, background: true }, at: 'background', message: NOT_STORED },
    {
      fields: { ephemeral: true, type: READ_TYPE },
      at: 'ephemeral',
      message: 'cannot be given with type "read": a read marker is stored',
    },
    {
      fields: { type: READ_TYPE, ttl: undefined },
      at: 'ttl',
      message: 'cannot be given with type "read": a read marker does not expire',
    },
    {
      fields: { type: READ_TYPE, background: true },
      at: 'background',
      message: 'cannot be given with type "read": a read marker never counts',
    },
  ],
  // This keeps the line of a frame under 64 KiB, the limit of common clients.
  maxContentBytes: 48 * 1024,
  maxBatch: 1000,
};
